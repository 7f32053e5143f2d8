// What workers and the store's server say to each other of a queue.
#pragma once

#include "queue/queue.h"

namespace holdfast {

/// All but the folder, which is each side's own.
Json to_json(const Lease& lease);
Lease lease_from_json(const Json& json);

Json to_json(const Sign& sign);
Sign sign_from_json(const Json& json);

const char* to_string(Party party);

}  // namespace holdfast
