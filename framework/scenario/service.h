// [service]: what holdfast serve puts on offer, for whom, and at what price (docs/service.md).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace holdfast {

/// A base model that customers may tune and ask: one of the scenario's models behind one of its defenses.
struct OfferSpec {
  std::string id;       // as the API names it
  std::string model;    // of [[model]]
  std::string defense;  // of [[defense]], or "none"
};

/// Of one customer; 0: none.
struct ServiceLimits {
  std::int64_t rows = 100000;           // of one file
  std::int64_t file_bytes = 512 << 20;  // of one file
  std::int64_t files = 1000;            // that are kept
  std::int64_t tokens = 0;              // that one job may train, rows times epochs
  std::int64_t jobs = 100;              // that have not ended
  double spend = 0;                     // in the price table's currency, for all jobs and chats
};

/// Who may use the service. The secret is in the environment alone.
struct CustomerSpec {
  std::string name;
  std::string key_env;  // the variable with the key
  ServiceLimits limits;
};

/// What a million tokens cost.
struct ServicePrices {
  std::string currency = "USD";
  double training = 0, input = 0, output = 0;
};

struct ServiceSpec {
  std::string organization = "holdfast";  // in the names of tuned models
  std::vector<OfferSpec> offers;  // at least one; none given: every model behind every defense, as "model" or "model-defense"
  std::vector<CustomerSpec> customers;  // none: one that anybody on this machine is
  bool names_rows = true;               // whether events say which rows were not taken, or are silent as providers are
  ServiceLimits limits;                 // of customers that state none
  ServicePrices prices;
  std::int64_t chat_workers = 1;  // processes that answer chats, beside the scenario's workers, which run jobs
  std::string moderator;          // of [[moderator]]: who answers /v1/moderations; empty: nobody
};

}  // namespace holdfast
