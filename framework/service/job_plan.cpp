#include "service/job_plan.h"

#include <holdfast/error.h>

#include <numeric>

#include "learn/training_options.h"
#include "service/chat_errors.h"

namespace holdfast {
namespace {

constexpr std::int64_t kRowsAtATime = 1000;

void check_model(const Desk& desk, const Customer& customer, const std::string& model) {
  if (find_offer(desk.service, model) != nullptr) return;
  if (desk.jobs.with_model(customer.name, model)) {
    throw wrong_field("model",
                      "the model " + in_quotes(model) + " is tuned already, expected one on offer: GET /v1/models lists them",
                      "unsupported_parameter");
  }
  throw no_such_model(model);
}

FileRecord training_file(const Desk& desk, const Customer& customer, const std::string& id) {
  FileRecord file = desk.files.find(customer.name, id, "training_file");
  if (file.purpose == "fine-tune") return file;
  throw wrong_field("training_file", "the file " + in_quotes(id) + " has the purpose " + in_quotes(file.purpose) +
                                         ", expected one with the purpose \"fine-tune\"");
}

// Of all rows in one epoch.
std::int64_t tokens_of(Desk& desk, const TuningOrder& order) {
  const auto served = ready(desk.backend->served(order.offer, std::nullopt), order.offer);
  std::vector<Conversation> rows;
  for (auto& row : load_data(order.rows)) rows.push_back(std::move(row.messages));
  std::int64_t tokens = 0;
  for (std::size_t begin = 0; begin < rows.size(); begin += kRowsAtATime) {
    const auto end = std::min(rows.size(), begin + kRowsAtATime);
    const std::vector<Conversation> part(rows.begin() + static_cast<std::ptrdiff_t>(begin),
                                         rows.begin() + static_cast<std::ptrdiff_t>(end));
    const auto each = asking([&] { return desk.backend->tokens(served, part, order.options.max_length); });
    tokens = std::accumulate(each.begin(), each.end(), tokens);
  }
  return tokens;
}

TrainingOptions with(const TrainingOptions& usual, const Json& said) {
  Json options = to_json(usual);
  if (said.is_object()) options.update(said);
  return training_options_from_json(options);
}

void estimate(Desk& desk, const Customer& customer, PlannedJob& job) {
  const std::int64_t most = customer.limits.tokens;
  const bool costs = Accounts::has_limit(customer) && desk.service.prices.training > 0;
  if (most == 0 && !costs) return;
  const std::int64_t tokens = tokens_to_train(desk, job);
  if (most > 0 && tokens > most) {
    throw wrong_field("training_file",
                      "the job would train " + std::to_string(tokens) + " tokens (" +
                          std::to_string(job.tuning.options.epochs) + " epochs), at most " + std::to_string(most) +
                          " may be trained by one",
                      "too_many_tokens");
  }
  if (costs) job.reserved = desk.accounts.price_of_training(tokens);
}

}  // namespace

std::int64_t tokens_to_train(Desk& desk, const PlannedJob& job) {
  return tokens_of(desk, job.tuning) * job.tuning.options.epochs;
}

PlannedJob plan_job(Desk& desk, const Customer& customer, const JobRequest& request) {
  check_model(desk, customer, request.model);
  const FileRecord file = training_file(desk, customer, request.training_file);
  PlannedJob job;
  job.training_file = file.id;
  job.filename = file.filename;
  job.suffix = request.suffix;
  job.metadata = request.metadata;
  const TrainingOptions& usual = desk.scenario.finetune;
  TrainingOptions& options = job.tuning.options = with(usual, request.options);
  options.epochs = request.n_epochs.value_or(usual.epochs);
  options.batch_size = request.batch_size.value_or(usual.batch_size);
  if (request.learning_rate) {
    options.lr = *request.learning_rate;
  } else if (request.lr_multiplier) {
    options.lr = usual.lr * *request.lr_multiplier;
  }
  job.lr_multiplier = request.lr_multiplier.value_or(usual.lr > 0 ? options.lr / usual.lr : 1);
  job.tuning.offer = request.model;
  job.tuning.seed = request.seed.value_or(desk.scenario.seeds.front());
  job.tuning.rows = {desk.files.content(file).string(), file.digest};
  estimate(desk, customer, job);
  return job;
}

}  // namespace holdfast
