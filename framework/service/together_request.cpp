#include "service/together_request.h"

#include "service/request_fields.h"

namespace holdfast {
namespace {

constexpr std::int64_t kLongestRow = 1 << 20, kLargestRank = 4096;

void refuse_unserved_of_job(RequestFields& fields) {
  const char* reports = "nothing is reported to other services";
  const char* hub = "models are those on offer here";
  fields.refuse("validation_file", {""}, "nothing is validated while a model is tuned");
  fields.refuse("n_evals", {0}, "nothing is validated while a model is tuned");
  fields.refuse("n_checkpoints", {0, 1}, "the final model alone is kept");
  fields.refuse("gradient_accumulation_steps", {0, 1}, "say the whole batch as \"batch_size\"");
  fields.refuse("warmup_ratio", {0}, "the learning rate is not warmed up");
  fields.refuse("packing", {true, false}, "rows are packed, and none sees another");
  fields.refuse("early_stopping_enabled", {false}, "a training goes to its end");
  for (const char* name : {"early_stopping_patience", "early_stopping_min_delta", "early_stopping_warmup_evals"}) {
    fields.refuse(name, {}, "a training goes to its end");
  }
  for (const char* name :
       {"wandb_key", "wandb_api_key", "wandb_base_url", "wandb_project_name", "wandb_name", "wandb_entity"}) {
    fields.refuse(name, {""}, reports);
  }
  for (const char* name : {"from_hf_model", "hf_model_revision", "hf_api_token", "hf_output_repo_name"})
    fields.refuse(name, {}, hub);
  fields.refuse("from_checkpoint", {""}, "a tuned model is not tuned again");
  fields.refuse("multimodal_params", {{{"train_vision", false}}}, "only texts are learned");
}

// Half a cosine, or a line, down to 0, as [finetune] has them.
void read_scheduler(RequestFields& fields, Json& options) {
  auto scheduler = fields.object("lr_scheduler");
  if (!scheduler) return;
  const std::string type = scheduler->required_text("lr_scheduler_type");
  if (type != "cosine" && type != "linear") {
    scheduler->wrong("lr_scheduler_type", "\"cosine\" or \"linear\"");
  }
  if (auto arguments = scheduler->object("lr_scheduler_args")) {
    arguments->refuse("min_lr_ratio", {0}, "a learning rate ends at 0");
    if (type == "cosine") arguments->refuse("num_cycles", {0.5}, "a cosine is half of one");
    arguments->finish();
  }
  scheduler->finish();
  options["schedule"] = type;
}

void read_training_type(RequestFields& fields, Json& options) {
  auto training = fields.object("training_type");
  if (!training) return;
  const std::string type = training->required_text("type");
  if (type != "Full" && type != "Lora") training->wrong("type", "\"Full\" or \"Lora\"");
  options["method"] = type == "Full" ? "full" : "lora";
  if (type == "Lora") {
    if (const auto rank = training->integer("lora_r", 1, kLargestRank)) options["lora_rank"] = *rank;
    if (const auto alpha = training->number("lora_alpha", 0, 1e6)) options["lora_alpha"] = *alpha;
    training->refuse("lora_dropout", {0}, "nothing is dropped out");
    training->refuse("lora_trainable_modules", {"", "all-linear"}, "all linears of all blocks are adapted");
  }
  training->finish();
}

void read_training_method(RequestFields& fields) {
  auto method = fields.object("training_method");
  if (!method) return;
  if (method->required_text("method") != "sft") method->wrong("method", "\"sft\"");
  method->refuse("train_on_inputs", {"auto", false}, "the assistant's turns alone are learned");
  method->finish();
}

}  // namespace

JobRequest together_request(const Json& body) {
  RequestFields fields(body);
  JobRequest job;
  job.model = fields.required_text("model");
  job.training_file = fields.required_text("training_file");
  job.suffix = fields.text("suffix", "");
  check_suffix(job.suffix, "suffix");
  job.seed = fields.integer("random_seed", 0, INT64_MAX);
  job.n_epochs = fields.integer("n_epochs", 1, kMostEpochs);
  if (fields.is("batch_size", "max")) {
    fields.value("batch_size");
  } else {
    job.batch_size = fields.integer("batch_size", 1, kLargestBatch);
  }
  job.learning_rate = fields.number("learning_rate", 1e-12, 10);
  job.options = Json::object();
  if (const auto norm = fields.number("max_grad_norm", 0, 1e6)) job.options["clip_norm"] = *norm;
  if (const auto decay = fields.number("weight_decay", 0, 1e3)) job.options["weight_decay"] = *decay;
  if (const auto length = fields.integer("max_seq_length", 1, kLongestRow)) job.options["max_length"] = *length;
  read_scheduler(fields, job.options);
  read_training_type(fields, job.options);
  read_training_method(fields);
  refuse_unserved_of_job(fields);
  fields.finish();
  return job;
}

JobRequest together_estimate(const Json& body) {
  RequestFields fields(body);
  JobRequest job;
  job.model = fields.required_text("model");
  job.training_file = fields.required_text("training_file");
  job.n_epochs = fields.integer("n_epochs", 1, kMostEpochs);
  job.options = Json::object();
  read_training_type(fields, job.options);
  read_training_method(fields);
  fields.refuse("n_evals", {0}, "nothing is validated while a model is tuned");
  fields.refuse("validation_file", {""}, "nothing is validated while a model is tuned");
  fields.refuse("from_checkpoint", {""}, "a tuned model is not tuned again");
  fields.finish();
  return job;
}

}  // namespace holdfast
