// The table. Routes and fields: openai 3.57.0, together 3.1.1, fireworks-ai 1.2.30 and mistralai 1.9.11 of PyPI.
#include <holdfast/error.h>

#include <algorithm>

#include "provider/dialect.h"

namespace holdfast {
namespace {

using Said = Hyperparameter::Said;

// OpenAI's, and every local server of that shape: ours (holdfast serve), and those behind LiteLLM.
Dialect openai() {
  Dialect d;
  d.name = "openai";
  d.address = "https://api.openai.com/v1";
  d.upload_path = "/files";
  d.upload_fields = {{"purpose", "fine-tune"}};
  d.file_id = "/id";
  d.create_path = "/fine_tuning/jobs";
  d.create_body = {{"model", "{model}"}, {"training_file", "{file}"},           {"seed", "{seed}"},
                   {"suffix", "{tag}"},  {"metadata", {{"holdfast", "{key}"}}}, {"method", {{"type", "supervised"}}}};
  const std::string place = "/method/supervised/hyperparameters/";
  d.hyperparameters = {{"epochs", place + "n_epochs"},
                       {"batch_size", place + "batch_size"},
                       {"lr", place + "learning_rate_multiplier", Said::kMultiplier}};
  d.job_id = "/id";
  d.job_path = "/fine_tuning/jobs/{job}";
  d.list_path = "/fine_tuning/jobs?limit=100";
  d.list_next = "&after={job}";
  d.listed = "/data";
  d.job_tag = "/metadata/holdfast";
  d.job_file = "/training_file";
  d.status = "/status";
  d.waits = {"validating_files", "queued", "running", "paused"};
  d.succeeded = {"succeeded"};
  d.failed = {"failed", "cancelled"};
  d.error_code = "/error/code";
  d.error_param = "/error/param";
  d.reasons = {"/error/message"};
  d.refusing_codes = {"invalid_training_file", "invalid_file_format", "invalid_n_examples",
                      "unsafe_training_file",  "moderation_failed",   "content_policy_violation"};
  d.events_path = "/fine_tuning/jobs/{job}/events?limit=100";
  d.events = "/data";
  d.tuned_model = "/fine_tuned_model";
  d.trained_tokens = "/trained_tokens";
  return d;
}

Dialect together() {
  Dialect d;
  d.name = "together";
  d.address = "https://api.together.xyz/v1";
  d.upload_path = "/files/upload";
  d.upload_fields = {{"purpose", "fine-tune"}, {"file_name", "{tag}.jsonl"}, {"file_type", "jsonl"}};
  d.file_id = "/id";
  d.file_is_there = "/file_id";
  d.file_path = "/files/{file}";
  d.file_status = "/processing_status";
  d.file_waits = {"PENDING", "QUEUED", "RUNNING"};
  d.file_ready = {"COMPLETED"};
  d.file_refused = {"FAILED", "INVALID_FORMAT"};
  d.file_reasons = {"/validation_report/error"};
  d.create_path = "/fine-tunes";
  d.create_body = {{"model", "{model}"},      {"training_file", "{file}"},
                   {"random_seed", "{seed}"}, {"suffix", "{tag}"},
                   {"n_checkpoints", 1},      {"training_method", {{"method", "sft"}, {"train_on_inputs", false}}}};
  d.hyperparameters = {
      {"epochs", "/n_epochs"},
      {"batch_size", "/batch_size"},
      {"lr", "/learning_rate"},
      {"method", "/training_type", Said::kInWords, {{"full", {{"type", "Full"}}}, {"lora", {{"type", "Lora"}}}}},
      {"lora_rank", "/training_type/lora_r", Said::kWithLora},
      {"lora_alpha", "/training_type/lora_alpha", Said::kWithLora},
      {"max_length", "/max_seq_length", Said::kIfSet},
      {"weight_decay", "/weight_decay", Said::kIfSet},
      {"clip_norm", "/max_grad_norm", Said::kIfSet},
      {"schedule",
       "/lr_scheduler",
       Said::kInWords,
       {{"linear", {{"lr_scheduler_type", "linear"}, {"lr_scheduler_args", {{"min_lr_ratio", 0}}}}},
        {"cosine", {{"lr_scheduler_type", "cosine"}, {"lr_scheduler_args", {{"min_lr_ratio", 0}, {"num_cycles", 0.5}}}}}}}};
  d.job_id = "/id";
  d.job_path = "/fine-tunes/{job}";
  d.list_path = "/fine-tunes";
  d.listed = "/data";
  d.job_tag = "/suffix";
  d.job_file = "/training_file";
  d.status = "/status";
  d.waits = {"pending", "queued", "running", "compressing", "uploading", "cancel_requested"};
  d.succeeded = {"completed"};
  d.failed = {"error", "cancelled"};
  d.reasons = {"/events"};
  d.events_path = "/fine-tunes/{job}/events";
  d.events = "/data";
  d.tuned_model = "/model_output_name";
  d.trained_tokens = "/token_count";
  d.price = {{"/total_price", 1e-9}};
  d.currency = "USD";
  d.estimate_path = "/fine-tunes/estimate-price";
  d.estimate_fields = {"model", "training_file", "n_epochs", "training_type", "training_method"};
  d.estimate_price = "/estimated_total_price";
  return d;
}

// The tuned model is asked where it is deployed, which its owner does, and pays by the hour.
Dialect fireworks() {
  Dialect d;
  d.name = "fireworks";
  d.address = "https://api.fireworks.ai";
  d.has_account = true;
  const std::string account = "/v1/accounts/{account}";
  d.register_path = account + "/datasets";
  d.register_body = {{"datasetId", "{tag}"},
                     {"dataset", {{"format", "CHAT"}, {"exampleCount", "{rows}"}, {"userUploaded", Json::object()}}}};
  d.upload_path = account + "/datasets/{tag}:upload";
  d.file_name = "accounts/{account}/datasets/{tag}";
  d.file_path = account + "/datasets/{tag}";
  d.file_status = "/state";
  d.file_waits = {"UPLOADING", "STATE_UNSPECIFIED"};
  d.file_ready = {"READY"};
  d.create_path = account + "/supervisedFineTuningJobs?supervisedFineTuningJobId={tag}";
  d.create_body = {{"displayName", "{tag}"},
                   {"dataset", "{file}"},
                   {"baseModel", "{model}"},
                   {"outputModel", "accounts/{account}/models/{tag}"}};
  d.hyperparameters = {{"epochs", "/epochs"},
                       {"batch_size", "/batchSizeSamples"},
                       {"lr", "/learningRate"},
                       {"method", "", Said::kInWords, {{"lora", Json()}}},
                       {"lora_rank", "/loraRank", Said::kWithLora},
                       {"max_length", "/maxContextLength", Said::kIfSet},
                       {"warmup_steps", "/learningRateWarmupSteps", Said::kIfSet},
                       {"weight_decay", "/optimizerWeightDecay", Said::kIfSet}};
  d.names_jobs = true;
  d.job_id = "/name";
  d.job_path = account + "/supervisedFineTuningJobs/{job}";
  d.status = "/state";
  d.waits = {"JOB_STATE_UNSPECIFIED", "JOB_STATE_CREATING",  "JOB_STATE_RUNNING",
             "JOB_STATE_VALIDATING",  "JOB_STATE_PENDING",   "JOB_STATE_WRITING_RESULTS",
             "JOB_STATE_RE_QUEUEING", "JOB_STATE_IDLE",      "JOB_STATE_CREATING_INPUT_DATASET",
             "JOB_STATE_PAUSED",      "JOB_STATE_CANCELLING"};
  d.succeeded = {"JOB_STATE_COMPLETED", "JOB_STATE_EARLY_STOPPED"};
  d.failed = {"JOB_STATE_FAILED", "JOB_STATE_CANCELLED", "JOB_STATE_EXPIRED", "JOB_STATE_DELETING",
              "JOB_STATE_DELETING_CLEANING_UP"};
  d.error_code = "/status/code";
  d.reasons = {"/status/message"};
  d.refusing_codes = {"INVALID_ARGUMENT"};
  d.tuned_model = "/outputModel";
  d.trained_tokens = "/jobProgress/inputTokens";
  d.price = {{"/estimatedCost/units", 1}, {"/estimatedCost/nanos", 1e-9}};
  d.price_currency = "/estimatedCost/currencyCode";
  d.chat_path = "/inference/v1/chat/completions";
  return d;
}

Dialect mistral() {
  Dialect d;
  d.name = "mistral";
  d.address = "https://api.mistral.ai/v1";
  d.upload_path = "/files";
  d.upload_fields = {{"purpose", "fine-tune"}};
  d.file_id = "/id";
  d.create_path = "/fine_tuning/jobs";
  d.create_body = {{"model", "{model}"},
                   {"training_files", {{{"file_id", "{file}"}, {"weight", 1}}}},
                   {"suffix", "{tag}"},
                   {"auto_start", true}};
  d.hyperparameters = {{"epochs", "/hyperparameters/epochs"},
                       {"lr", "/hyperparameters/learning_rate"},
                       {"max_length", "/hyperparameters/seq_len", Said::kIfSet},
                       {"weight_decay", "/hyperparameters/weight_decay", Said::kIfSet}};
  d.job_id = "/id";
  d.job_path = "/fine_tuning/jobs/{job}";
  d.list_path = "/fine_tuning/jobs?page_size=100";
  d.listed = "/data";
  d.job_tag = "/suffix";
  d.job_file = "/training_files/0";
  d.status = "/status";
  d.waits = {"QUEUED", "STARTED", "VALIDATING", "VALIDATED", "RUNNING", "CANCELLATION_REQUESTED"};
  d.succeeded = {"SUCCESS"};
  d.refused = {"FAILED_VALIDATION"};
  d.failed = {"FAILED", "CANCELLED"};
  d.reasons = {"/message", "/events"};
  d.events = "/events";
  d.tuned_model = "/fine_tuned_model";
  d.trained_tokens = "/trained_tokens";
  d.price = {{"/metadata/cost"}};
  d.price_currency = "/metadata/cost_currency";
  d.estimate_path = "/fine_tuning/jobs?dry_run=true";
  d.estimate_price = "/cost";
  d.estimate_currency = "/cost_currency";
  d.chat_seed = "random_seed";
  return d;
}

}  // namespace

const std::vector<Dialect>& dialects() {
  static const std::vector<Dialect> table = {openai(), together(), fireworks(), mistral()};
  return table;
}

std::vector<std::string> dialect_names() {
  std::vector<std::string> names;
  for (const auto& each : dialects()) names.push_back(each.name);
  return names;
}

const Dialect& dialect(const std::string& name) {
  for (const auto& each : dialects()) {
    if (each.name == name) return each;
  }
  throw Error(in_quotes(name) + " is no provider's interface that is known, expected openai, together, fireworks or mistral");
}

bool Dialect::multiplies_lr() const {
  return std::any_of(hyperparameters.begin(), hyperparameters.end(),
                     [](const Hyperparameter& each) { return each.said == Hyperparameter::Said::kMultiplier; });
}

}  // namespace holdfast
