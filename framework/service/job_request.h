// A request for a fine-tuning job, in either dialect.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/json.h"

namespace holdfast {

/// What a job may ask for at most.
inline constexpr std::int64_t kMostEpochs = 1000, kLargestBatch = 4096;

/// As the customer says it; what he leaves open (or calls "auto") is the scenario's [finetune].
struct JobRequest {
  std::string model, training_file;  // both are names still
  std::string suffix = {};
  std::optional<std::int64_t> seed = {};
  std::optional<std::int64_t> n_epochs = {}, batch_size = {};
  std::optional<double> lr_multiplier = {};  // of the scenario's learning rate
  std::optional<double> learning_rate = {};  // itself; one of the two at most
  Json metadata = {};                        // an object of texts, or null
  Json options = {};                         // what else is said, as [finetune] names it; null: nothing
};

/// The body of POST /v1/fine_tuning/jobs. Throws ApiError.
JobRequest job_request(const Json& body);

/// The part of a tuned model's name that a customer chooses. Throws ApiError for what no name can have.
void check_suffix(const std::string& suffix, const std::string& param);

}  // namespace holdfast
