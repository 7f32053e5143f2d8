#include "service/job_request.h"

#include <algorithm>
#include <cctype>

#include "service/request_fields.h"

namespace holdfast {
namespace {

constexpr double kLeastMultiplier = 1e-6, kMostMultiplier = 1e6;
constexpr std::size_t kLongestSuffix = 64;

void read_hyperparameters(RequestFields fields, JobRequest& job) {
  const auto given = [&](const char* name) { return !fields.is(name, "auto") || fields.value(name).is_null(); };
  if (given("n_epochs")) job.n_epochs = fields.integer("n_epochs", 1, kMostEpochs);
  if (given("batch_size")) job.batch_size = fields.integer("batch_size", 1, kLargestBatch);
  if (given("learning_rate_multiplier")) {
    job.lr_multiplier = fields.number("learning_rate_multiplier", kLeastMultiplier, kMostMultiplier);
  }
  fields.finish();
}

void read_method(RequestFields method, JobRequest& job) {
  const std::string type = method.required_text("type");
  if (type != "supervised") {
    throw wrong_field("method.type", "the method " + in_quotes(type) + " is not served here, expected \"supervised\"",
                      "unsupported_parameter");
  }
  if (auto supervised = method.object("supervised")) {
    if (auto hyperparameters = supervised->object("hyperparameters")) read_hyperparameters(*hyperparameters, job);
    supervised->finish();
  }
  method.finish();
}

}  // namespace

void check_suffix(const std::string& suffix, const std::string& param) {
  const auto fits = [](char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '-' || c == '_' || c == '.'; };
  if (suffix.size() <= kLongestSuffix && std::all_of(suffix.begin(), suffix.end(), fits)) return;
  throw wrong_field(param,
                    "\"" + param + "\" is " + in_quotes(suffix) + ", expected at most 64 letters, digits and any of - _ .");
}

JobRequest job_request(const Json& body) {
  RequestFields fields(body);
  JobRequest job;
  job.model = fields.required_text("model");
  job.training_file = fields.required_text("training_file");
  job.suffix = fields.text("suffix", "");
  check_suffix(job.suffix, "suffix");
  job.seed = fields.integer("seed", 0, INT64_MAX);
  job.metadata = read_metadata(fields);
  if (fields.has("hyperparameters") && fields.has("method")) {
    throw wrong_field("hyperparameters", "the request has both \"hyperparameters\" and \"method\", expected one of them");
  }
  if (auto hyperparameters = fields.object("hyperparameters")) read_hyperparameters(*hyperparameters, job);
  if (auto method = fields.object("method")) read_method(*method, job);
  fields.refuse("validation_file", {}, "nothing is validated while a model is tuned");
  fields.refuse("integrations", {Json::array()}, "nothing is reported to other services");
  fields.finish();
  return job;
}

}  // namespace holdfast
