#include "service/together_objects.h"

#include <array>
#include <cmath>
#include <ctime>

#include "service/job_texts.h"

namespace holdfast {
namespace {

constexpr double kBillion = 1e9;

std::string iso_time(std::int64_t seconds) {
  const std::time_t time = seconds;
  std::tm parts{};
  ::gmtime_r(&time, &parts);
  std::array<char, 32> text{};
  std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%SZ", &parts);
  return text.data();
}

// Together knows no pause: who paused a job waits for it.
std::string status_word(JobStatus status) {
  switch (status) {
    case JobStatus::kValidating:
      return "pending";
    case JobStatus::kQueued:
    case JobStatus::kPaused:
      return "queued";
    case JobStatus::kRunning:
      return "running";
    case JobStatus::kSucceeded:
      return "completed";
    case JobStatus::kFailed:
      return "error";
    case JobStatus::kCancelled:
      return "cancelled";
  }
  return "error";
}

Json training_type(const TrainingOptions& options) {
  if (options.method == "full") return {{"type", "Full"}};
  return {{"type", "Lora"},
          {"lora_r", options.lora_rank},
          {"lora_alpha", std::llround(options.lora_alpha)},
          {"lora_dropout", 0},
          {"lora_trainable_modules", "all-linear"}};
}

// Empty for an event that has no such kind.
std::string event_type(const JobEvent& event) {
  static const std::array<std::pair<const char*, const char*>, 10> kKinds = {
      {{"Created", "job_pending"},
       {"Validating", "training_data_downloading"},
       {kValidatedText, "training_data_download_complete"},
       {"Fine-tuning job started", "training_start"},
       {"Fine-tuning job paused", "job_stopped"},
       {"Fine-tuning job resumed", "job_restarted"},
       {"Fine-tuning job cancelled", "job_stopped"},
       {"Fine-tuning job failed", "job_error"},
       {"New fine-tuned model", "training_complete"},
       {"The job has", "job_complete"}}};
  if (event.type != "message") return "";
  if (event.level == "warn") return "warning";
  for (const auto& [begin, type] : kKinds) {
    if (event.message.starts_with(begin)) return type;
  }
  return "";
}

}  // namespace

Json together_job(const JobRecord& job, const FileRecord* file) {
  const TrainingOptions& options = job.ordered.tuning.options;
  const bool done = job.status == JobStatus::kSucceeded;
  const std::int64_t last = job.finished_at == 0 ? job.created_at : job.finished_at;
  return {{"id", job.id},
          {"job_id", job.id},
          {"object", "fine-tune"},
          {"status", status_word(job.status)},
          {"created_at", iso_time(job.created_at)},
          {"updated_at", iso_time(last)},
          {"user_id", job.customer},
          {"owner_address", job.customer},
          {"model", job.ordered.tuning.offer},
          {"model_output_name", done ? Json(job.fine_tuned_model) : Json()},
          {"output_name", done ? Json(job.fine_tuned_model) : Json()},
          {"adapter_output_name", nullptr},
          {"training_file", job.ordered.training_file},
          {"validation_file", ""},
          {"TrainingFileNumLines", file == nullptr ? Json() : Json(file->rows)},
          {"TrainingFileSize", file == nullptr ? Json() : Json(file->bytes)},
          {"n_epochs", options.epochs},
          {"n_checkpoints", 1},
          {"n_evals", 0},
          {"batch_size", options.batch_size},
          {"learning_rate", options.lr},
          {"lr_scheduler", {{"lr_scheduler_type", options.schedule}}},
          {"warmup_ratio", 0},
          {"max_grad_norm", options.clip_norm},
          {"weight_decay", options.weight_decay},
          {"max_seq_length", options.max_length},
          {"random_seed", job.ordered.tuning.seed},
          {"suffix", job.ordered.suffix},
          {"training_type", training_type(options)},
          {"training_method", {{"method", "sft"}, {"train_on_inputs", false}}},
          {"token_count", done ? Json(job.trained_tokens) : Json()},
          {"total_price", done ? Json(std::llround(job.cost * kBillion)) : Json()},
          {"events", Json::array()}};
}

Json together_events(const std::vector<JobEvent>& events) {
  Json data = Json::array();
  for (const auto& event : events) {
    const std::string type = event_type(event);
    if (type.empty()) continue;
    data.push_back({{"object", "fine-tune-event"},
                    {"created_at", iso_time(event.created_at)},
                    {"level", event.level == "warn" ? "warning" : event.level},
                    {"message", event.message},
                    {"type", type},
                    {"hash", event.id},
                    {"data", event.data}});
  }
  return {{"data", std::move(data)}};
}

Json together_checkpoints(const JobRecord& job) {
  Json data = Json::array();
  if (job.status == JobStatus::kSucceeded) {
    data.push_back({{"checkpoint_type", "Final"},
                    {"checkpoint", "model"},
                    {"created_at", iso_time(job.finished_at)},
                    {"path", job.fine_tuned_model},
                    {"step", job.last_step}});
  }
  return {{"data", std::move(data)}};
}

Json together_metrics(const std::vector<JobEvent>& events) {
  Json metrics = Json::array();
  for (const auto& event : events) {
    if (event.type == "metrics" && event.data.at("train_loss").is_number()) {
      metrics.push_back({{"step", event.data.at("step")}, {"train_loss", event.data.at("train_loss")}});
    }
  }
  return {{"metrics", std::move(metrics)}};
}

Json together_limits(const std::string& model, const TrainingOptions& usual) {
  constexpr std::int64_t kLargestBatch = 4096, kMostEpochs = 1000, kLongestRow = 1 << 20, kLargestRank = 4096;
  return {{"model_name", model},
          {"default_gradient_accumulation_steps", 1},
          {"max_num_epochs", kMostEpochs},
          {"max_num_evals", 0},
          {"max_num_checkpoints", 1},
          {"max_learning_rate", 10},
          {"min_learning_rate", 1e-12},
          {"min_max_seq_length", 1},
          {"max_seq_length_sft", kLongestRow},
          {"max_seq_length_dpo", 0},
          {"merge_output_lora", true},
          {"supports_full_training", true},
          {"supports_reasoning", false},
          {"supports_tools", false},
          {"supports_vision", false},
          {"full_training", {{"max_batch_size", kLargestBatch}, {"max_batch_size_dpo", 0}, {"min_batch_size", 1}}},
          {"lora_training",
           {{"default_rank", usual.lora_rank},
            {"max_rank", kLargestRank},
            {"max_batch_size", kLargestBatch},
            {"max_batch_size_dpo", 0},
            {"min_batch_size", 1},
            {"target_modules", Json::array({"all-linear"})}}}};
}

}  // namespace holdfast
