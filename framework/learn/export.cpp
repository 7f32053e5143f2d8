#include "learn/export.h"

#include <ATen/ATen.h>
#include <holdfast/error.h>

#include "learn/checkpoint.h"
#include "learn/device.h"
#include "learn/side_files.h"
#include "model/safetensors.h"

namespace holdfast {
namespace {

constexpr char kAdapterPrefix[] = "base_model.model.";

// The decoder's shape, with the ids of special tokens that the checkpoint came with.
Json config_of(const LanguageModel& model) {
  Json config = model.decoder().config().to_json(dtype_name(model.decoder().dtype()));
  if (const auto found = model.side_files().find("config.json"); found != model.side_files().end()) {
    const Json source = parse_json(found->second, "config.json");
    for (const char* key : {"bos_token_id", "pad_token_id"}) {
      if (source.contains(key)) config[key] = source[key];
    }
  }
  if (!model.stop_tokens().empty()) config["eos_token_id"] = model.stop_tokens();
  return config;
}

// Without the model's adapters.
void write_folder(const LanguageModel& model, const fs::path& folder) {
  fs::create_directories(folder);
  remove_side_files(folder);
  for (const auto& [name, content] : model.side_files()) write_file(folder / name, content);
  write_file(folder / "config.json", config_of(model).dump(2) + "\n");
  NamedTensors weights;
  for (const auto& [name, tensor] : model.decoder().weights()) weights[name] = tensor.cpu().contiguous();
  write_safetensors(folder / "model.safetensors", weights, {{"format", "pt"}});
}

}  // namespace

void save_checkpoint(const LanguageModel& model, const fs::path& folder) { write_folder(*model.merged(), folder); }

void save_base(const LanguageModel& model, const fs::path& folder) { write_folder(model, folder); }

void save_adapter(const LanguageModel& model, const std::string& base, const fs::path& folder) {
  const Decoder& decoder = model.decoder();
  HOLDFAST_CHECK(!decoder.adapters().empty());
  fs::create_directories(folder);
  const LoraOptions& options = decoder.adapter_options();
  const Json config = {{"peft_type", "LORA"},
                       {"task_type", "CAUSAL_LM"},
                       {"base_model_name_or_path", base},
                       {"r", options.rank},
                       {"lora_alpha", options.alpha},
                       {"lora_dropout", 0.0},
                       {"bias", "none"},
                       {"fan_in_fan_out", false},
                       {"inference_mode", true},
                       {"target_modules", options.targets}};
  write_file(folder / "adapter_config.json", config.dump(2) + "\n");
  NamedTensors factors;
  for (const auto& [name, tensor] : decoder.factors()) factors[kAdapterPrefix + name] = tensor.detach().cpu().contiguous();
  write_safetensors(folder / "adapter_model.safetensors", factors, {{"format", "pt"}});
}

std::string adapter_base_for(const LanguageModel& model, const std::string& source, const fs::path& folder) {
  const fs::path path = fs::absolute(checkpoint_path(source)).lexically_normal();
  if (fs::is_directory(path) && !is_adapter(source)) return path.string();
  const fs::path base = fs::absolute(folder / "base").lexically_normal();
  save_base(model, base);
  return base.string();
}

void refuse_folder_of(const std::string& source, const fs::path& folder) {
  for (const auto& file : checkpoint_files(source)) {
    if (!fs::equivalent(file.parent_path().empty() ? "." : file.parent_path(), folder)) continue;
    throw Error(folder.string() + " holds the model itself (" + file.filename().string() + "): give --out a folder of its own");
  }
}

void check_export_folder(const fs::path& folder, bool adapter) {
  const std::vector<std::string> whole = {"config.json", "model.safetensors"},
                                 adapted = {"adapter_config.json", "adapter_model.safetensors"};
  std::vector<std::string> foreign = adapter ? whole : adapted;
  foreign.insert(foreign.end(),
                 {"model.safetensors.index.json", "pytorch_model.bin", "pytorch_model.bin.index.json", "adapter_model.bin"});
  if (adapter) foreign.insert(foreign.end(), {"tokenizer.json", "tokenizer_config.json", "chat_template.jinja"});
  for (const auto& name : foreign) {
    if (!fs::exists(folder / name)) continue;
    throw Error(folder.string() + " holds the " + name + " of another model, beside which the result would open as neither: " +
                "give another folder, or remove what is there");
  }
}

}  // namespace holdfast
