#include "learn/training_settings.h"

namespace holdfast {

TrainingOptions training_options_from_json(const Json& json) {
  TrainingOptions options;
  json.at("method").get_to(options.method);
  json.at("lr").get_to(options.lr);
  json.at("epochs").get_to(options.epochs);
  json.at("batch_size").get_to(options.batch_size);
  json.at("micro_batch_size").get_to(options.micro_batch_size);
  json.at("max_length").get_to(options.max_length);
  json.at("schedule").get_to(options.schedule);
  json.at("step_gamma").get_to(options.step_gamma);
  json.at("warmup_steps").get_to(options.warmup_steps);
  json.at("weight_decay").get_to(options.weight_decay);
  json.at("clip_norm").get_to(options.clip_norm);
  json.at("shuffle").get_to(options.shuffle);
  json.at("lora_rank").get_to(options.lora_rank);
  json.at("lora_alpha").get_to(options.lora_alpha);
  json.at("lora_targets").get_to(options.lora_targets);
  return options;
}

Json to_json(const GenerateOptions& options) {
  return {{"max_new_tokens", options.max_new_tokens},
          {"batch_size", options.batch_size},
          {"temperature", options.temperature},
          {"top_p", options.top_p}};
}

GenerateOptions generate_options_from_json(const Json& json) {
  GenerateOptions options;
  json.at("max_new_tokens").get_to(options.max_new_tokens);
  json.at("batch_size").get_to(options.batch_size);
  json.at("temperature").get_to(options.temperature);
  json.at("top_p").get_to(options.top_p);
  return options;
}

}  // namespace holdfast
