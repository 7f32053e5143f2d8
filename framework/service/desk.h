// All that the routes work with.
#pragma once

#include "scenario/scenario.h"
#include "service/accounts.h"
#include "service/announced_uploads.h"
#include "service/backend.h"
#include "service/customers.h"
#include "service/files.h"
#include "service/jobs.h"
#include "service/offers.h"
#include "service/seats.h"
#include "service/state_folder.h"

namespace holdfast {

struct Desk {
  /// The scenario has a [service]. It and the backend outlive the desk. Throws
  /// Error for keys that are not right, and a folder that cannot be had.
  Desk(const Scenario& scenario, const ServiceKeys& keys, const fs::path& state);

  const Scenario& scenario;
  const ServiceSpec& service;
  const Customers customers;
  const StateFolder folder;
  Files files;
  Accounts accounts;
  Jobs jobs;
  AnnouncedUploads announced;
  Seats seats{200, 400};       // fewer than the server has threads
  Backend* backend = nullptr;  // before anybody asks
};

}  // namespace holdfast
