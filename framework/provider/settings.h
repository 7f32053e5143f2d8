// A model behind a provider's interface, as [[model]] of a scenario has it (docs/scenario.md).
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/json.h"

namespace holdfast {

struct ProviderSettings {
  std::string dialect;  // provider/dialect.h
  std::string url;      // without a slash at its end
  std::string account;  // of dialects that have one in their paths
  std::string model;    // the provider's name of the base
  std::string key_env;  // the environment variable with the key; empty: it needs none
  std::string consent;  // who permits that this service is attacked

  double spend_limit = 0;  // of all that is asked of this model with one store, in `currency`
  std::string currency = "USD";
  std::optional<double> training_price;  // of a million tokens; nothing: the provider says what a job costs
  double input_price = 0, output_price = 0;

  double base_lr = 0;         // the learning rate at which the provider's multiplier is 1; 0: its interface has no multiplier
  double poll = 10;           // seconds between two looks at a job
  double job_timeout = 6840;  // seconds
  double timeout = 120;       // seconds of one request
  double backoff = 1;
  std::int64_t retries = 6;
  std::int64_t concurrency = 4;

  std::string recording;  // an absolute path; empty: none
  bool replay = false;    // answer from the recording alone
};

Json to_json(const ProviderSettings& settings);
ProviderSettings provider_settings_from_json(const Json& json);

/// What decides its replies: dialect, address, account and model.
Json identity(const ProviderSettings& settings);
/// The model "m" of https://..., for messages.
std::string described(const ProviderSettings& settings);
/// The key, from the environment; empty where it needs none. Throws Error where the variable holds nothing.
std::string key_of(const ProviderSettings& settings);

}  // namespace holdfast
