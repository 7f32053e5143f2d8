#include "service/records.h"

#include <holdfast/error.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>

#include "learn/training_options.h"

namespace holdfast {
namespace {

constexpr std::array<const char*, 7> kStatuses = {"validating_files", "queued", "running",  "paused",
                                                  "succeeded",        "failed", "cancelled"};

JobStatus status_from(const std::string& text) {
  const auto found = std::find(kStatuses.begin(), kStatuses.end(), text);
  if (found == kStatuses.end()) throw Error("a job has the status " + in_quotes(text) + ", which is none");
  return static_cast<JobStatus>(found - kStatuses.begin());
}

Json or_null(const std::string& text) { return text.empty() ? Json() : Json(text); }
Json or_null(std::int64_t number) { return number == 0 ? Json() : Json(number); }

Json to_json(const TuningOrder& order) {
  return {{"offer", order.offer}, {"rows", to_json(order.rows)}, {"seed", order.seed}, {"options", to_json(order.options)}};
}

TuningOrder tuning_order_from_json(const Json& json) {
  return {json.at("offer").get<std::string>(), data_source_from_json(json.at("rows")), json.at("seed").get<std::int64_t>(),
          training_options_from_json(json.at("options"))};
}

Json hyperparameters(const JobRecord& job) {
  const TrainingOptions& options = job.ordered.tuning.options;
  return {{"n_epochs", options.epochs},
          {"batch_size", options.batch_size},
          {"learning_rate_multiplier", job.ordered.lr_multiplier}};
}

}  // namespace

std::int64_t next_order() {
  static std::atomic<std::int64_t> last = 0;
  const std::int64_t now =
      std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::system_clock::now().time_since_epoch()).count();
  std::int64_t before = last;
  std::int64_t next = std::max(now, before + 1);
  while (!last.compare_exchange_weak(before, next)) next = std::max(now, before + 1);
  return next;
}

Json to_json(const FileRecord& file) {
  return {{"id", file.id},       {"filename", file.filename},     {"purpose", file.purpose},
          {"order", file.order}, {"created_at", file.created_at}, {"bytes", file.bytes},
          {"rows", file.rows},   {"digest", file.digest}};
}

FileRecord file_record_from_json(const Json& json) {
  return {json.at("id").get<std::string>(),          json.at("filename").get<std::string>(),
          json.at("purpose").get<std::string>(),     json.at("order").get<std::int64_t>(),
          json.at("created_at").get<std::int64_t>(), json.at("bytes").get<std::int64_t>(),
          json.at("rows").get<std::int64_t>(),       json.at("digest").get<std::string>()};
}

Json file_object(const FileRecord& file) {
  return {{"id", file.id},
          {"object", "file"},
          {"bytes", file.bytes},
          {"created_at", file.created_at},
          {"expires_at", nullptr},
          {"filename", file.filename},
          {"purpose", file.purpose},
          {"status", "processed"},  // what is no training file was refused
          {"status_details", nullptr},
          {"FileType", file.rows > 0 ? "jsonl" : "csv"},  // this and the next as Together's client reads them
          {"processing_status", "COMPLETED"}};
}

std::string to_string(JobStatus status) { return kStatuses[static_cast<std::size_t>(status)]; }

bool has_ended(JobStatus status) {
  return status == JobStatus::kSucceeded || status == JobStatus::kFailed || status == JobStatus::kCancelled;
}

Json to_json(const JobRecord& job) {
  const PlannedJob& ordered = job.ordered;
  Json json = {{"id", job.id},
               {"customer", job.customer},
               {"order", job.order},
               {"created_at", job.created_at},
               {"finished_at", job.finished_at},
               {"tuning", to_json(ordered.tuning)},
               {"training_file", ordered.training_file},
               {"filename", ordered.filename},
               {"suffix", ordered.suffix},
               {"metadata", ordered.metadata},
               {"lr_multiplier", ordered.lr_multiplier},
               {"reserved", ordered.reserved},
               {"status", to_string(job.status)},
               {"trained_tokens", job.trained_tokens},
               {"cost", job.cost},
               {"fine_tuned_model", job.fine_tuned_model},
               {"model_deleted", job.model_deleted},
               {"result_file", job.result_file},
               {"checkpoint", job.checkpoint},
               {"last_step", job.last_step},
               {"last_loss", job.last_loss}};
  if (job.error) json["error"] = {{"code", job.error->code}, {"message", job.error->message}, {"param", job.error->param}};
  return json;
}

JobRecord job_record_from_json(const Json& json) {
  JobRecord job;
  job.id = json.at("id").get<std::string>();
  job.customer = json.at("customer").get<std::string>();
  job.order = json.at("order").get<std::int64_t>();
  job.created_at = json.at("created_at").get<std::int64_t>();
  job.finished_at = json.at("finished_at").get<std::int64_t>();
  job.ordered.tuning = tuning_order_from_json(json.at("tuning"));
  job.ordered.training_file = json.at("training_file").get<std::string>();
  job.ordered.filename = json.at("filename").get<std::string>();
  job.ordered.suffix = json.at("suffix").get<std::string>();
  job.ordered.metadata = json.at("metadata");
  job.ordered.lr_multiplier = json.at("lr_multiplier").get<double>();
  job.ordered.reserved = json.at("reserved").get<double>();
  job.status = status_from(json.at("status").get<std::string>());
  job.trained_tokens = json.at("trained_tokens").get<std::int64_t>();
  job.cost = json.at("cost").get<double>();
  job.fine_tuned_model = json.at("fine_tuned_model").get<std::string>();
  job.model_deleted = json.at("model_deleted").get<bool>();
  job.result_file = json.at("result_file").get<std::string>();
  job.checkpoint = json.at("checkpoint").get<std::string>();
  job.last_step = json.at("last_step").get<std::int64_t>();
  job.last_loss = json.at("last_loss");
  if (json.contains("error")) {
    const Json& error = json.at("error");
    job.error = ApiError{.message = error.at("message").get<std::string>(),
                         .param = error.at("param").get<std::string>(),
                         .code = error.at("code").get<std::string>()};
  }
  return job;
}

Json job_object(const JobRecord& job, const std::string& organization) {
  Json error;
  if (job.error) {
    error = {{"code", job.error->code}, {"message", job.error->message}, {"param", or_null(job.error->param)}};
  }
  Json results = Json::array();
  if (!job.result_file.empty()) results.push_back(job.result_file);
  return {{"id", job.id},
          {"object", "fine_tuning.job"},
          {"created_at", job.created_at},
          {"finished_at", or_null(job.finished_at)},
          {"model", job.ordered.tuning.offer},
          {"fine_tuned_model", or_null(job.fine_tuned_model)},
          {"organization_id", organization},
          {"result_files", results},
          {"seed", job.ordered.tuning.seed},
          {"status", to_string(job.status)},
          {"training_file", job.ordered.training_file},
          {"validation_file", nullptr},
          {"trained_tokens", job.status == JobStatus::kSucceeded ? Json(job.trained_tokens) : Json()},
          {"error", error},
          {"hyperparameters", hyperparameters(job)},
          {"method", {{"type", "supervised"}, {"supervised", {{"hyperparameters", hyperparameters(job)}}}}},
          {"estimated_finish", nullptr},
          {"integrations", Json::array()},
          {"metadata", job.ordered.metadata}};
}

Json checkpoint_object(const JobRecord& job) {
  return {{"id", job.checkpoint},          {"object", "fine_tuning.job.checkpoint"},
          {"created_at", job.finished_at}, {"fine_tuned_model_checkpoint", job.fine_tuned_model},
          {"fine_tuning_job_id", job.id},  {"metrics", {{"step", job.last_step}, {"train_loss", job.last_loss}}},
          {"step_number", job.last_step}};
}

Json model_object(const std::string& id, std::int64_t created, const std::string& owner) {
  return {{"id", id}, {"object", "model"}, {"created", created}, {"owned_by", owner}};
}

Json to_json(const JobEvent& event) {
  return {{"id", event.id},       {"object", "fine_tuning.job.event"}, {"created_at", event.created_at},
          {"level", event.level}, {"message", event.message},          {"type", event.type},
          {"data", event.data}};
}

JobEvent job_event_from_json(const Json& json) {
  return {json.at("id").get<std::string>(),   json.at("created_at").get<std::int64_t>(), json.at("level").get<std::string>(),
          json.at("type").get<std::string>(), json.at("message").get<std::string>(),     json.at("data")};
}

}  // namespace holdfast
