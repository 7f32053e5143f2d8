#include "learn/checkpoint.h"

#include <ATen/ATen.h>
#include <holdfast/error.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <set>

#include "base/digest.h"
#include "base/remembered_digest.h"
#include "learn/device.h"
#include "model/gguf_decoder.h"
#include "model/safetensors.h"

namespace holdfast {
namespace {

constexpr char kAdapterPrefix[] = "base_model.model.";

// What travels with weights into an exported folder.
const std::vector<std::string> kSideFiles = {"tokenizer.json", "tokenizer_config.json", "special_tokens_map.json",
                                             "chat_template.jinja", "generation_config.json"};

bool is_adapter(const fs::path& folder) { return fs::exists(folder / "adapter_config.json"); }

fs::path existing(const std::string& source) {
  if (source == "organism") {
    const fs::path folder = share_folder() / "organism";
    if (!fs::exists(folder / "config.json")) {
      throw Error("the built-in organism is missing from " + folder.string() + ": build or install Holdfast again");
    }
    return folder;
  }
  if (!fs::exists(source)) {
    throw Error("no model at \"" + source +
                "\": expected \"organism\", a GGUF file, a Hugging Face folder or an adapter folder");
  }
  return source;
}

// The weight files of a Hugging Face folder.
std::vector<fs::path> shards(const fs::path& folder) {
  if (fs::exists(folder / "model.safetensors")) return {folder / "model.safetensors"};
  const fs::path index = folder / "model.safetensors.index.json";
  if (!fs::exists(index)) {
    throw Error(
        folder.string() +
        " has neither model.safetensors nor model.safetensors.index.json; other weight formats (pickle) are never read");
  }
  const Json json = parse_json(read_file(index), index.string());
  if (!json.is_object() || !json.contains("weight_map") || !json["weight_map"].is_object()) {
    throw Error(index.string() + " has no \"weight_map\" table");
  }
  std::set<std::string> names;
  for (const auto& [tensor, file] : json["weight_map"].items()) {
    if (!file.is_string() || file.get<std::string>().find('/') != std::string::npos) {
      throw Error(index.string() + ": the shard of \"" + tensor + "\" is " + file.dump() + ", expected a file name");
    }
    names.insert(file.get<std::string>());
  }
  std::vector<fs::path> paths;
  for (const auto& name : names) {
    if (!fs::exists(folder / name)) throw Error(folder.string() + " lacks the shard " + name + " that its index names");
    paths.push_back(folder / name);
  }
  return paths;
}

NamedTensors read_shards(const fs::path& folder) {
  NamedTensors weights;
  for (const auto& path : shards(folder)) {
    for (auto& [name, tensor] : read_safetensors(path).tensors) {
      if (!weights.emplace(name, tensor).second)
        throw Error(path.string() + " repeats tensor \"" + name + "\" of another shard");
    }
  }
  return weights;
}

Json read_json_file(const fs::path& path) { return parse_json(read_file(path), path.string()); }

// A token as tokenizer_config.json writes it: a text, or a table with "content".
std::string token_text(const Json& config, const std::string& key) {
  if (!config.contains(key)) return "";
  const Json& value = config[key];
  if (value.is_string()) return value.get<std::string>();
  if (value.is_object() && value.contains("content") && value["content"].is_string())
    return value["content"].get<std::string>();
  return "";
}

void add_stop(std::vector<std::int64_t>& stops, const Json& value) {
  if (value.is_array()) {
    for (const auto& item : value) add_stop(stops, item);
  } else if (value.is_number_integer() && std::count(stops.begin(), stops.end(), value.get<std::int64_t>()) == 0) {
    stops.push_back(value.get<std::int64_t>());
  }
}

std::shared_ptr<const ChatTemplate> chat_of(const SideFiles& files, const Json& tokenizer_config, const fs::path& folder) {
  std::map<std::string, std::string> special;
  for (const char* key : {"bos_token", "eos_token", "unk_token", "pad_token"}) {
    if (const auto token = token_text(tokenizer_config, key); !token.empty()) special[key] = token;
  }
  const std::string source = (folder / "chat_template.jinja").string();
  if (files.contains("chat_template.jinja"))
    return std::make_shared<ChatTemplate>(files.at("chat_template.jinja"), special, source);
  if (!tokenizer_config.contains("chat_template")) return nullptr;
  const Json& given = tokenizer_config["chat_template"];
  if (given.is_string()) {
    return std::make_shared<ChatTemplate>(given.get<std::string>(), special, (folder / "tokenizer_config.json").string());
  }
  for (const auto& named : given.is_array() ? given : Json::array()) {
    if (named.value("name", "") == "default")
      return std::make_shared<ChatTemplate>(named.value("template", ""), special, source);
  }
  return nullptr;
}

// Tensors in one device and dtype, without what the decoder computes itself.
NamedTensors placed(NamedTensors weights, const ModelConfig& config, c10::Device device, c10::ScalarType dtype) {
  std::erase_if(weights, [&](const auto& item) {
    return item.first.find("rotary_emb.inv_freq") != std::string::npos || (config.tied_head && item.first == "lm_head.weight");
  });
  for (auto& [name, tensor] : weights) tensor = tensor.to(device, dtype);
  return weights;
}

std::unique_ptr<LanguageModel> load_folder(const fs::path& folder, c10::Device device, c10::ScalarType dtype) {
  if (!fs::exists(folder / "config.json")) throw Error(folder.string() + " has no config.json: expected a Hugging Face folder");
  const Json config_json = read_json_file(folder / "config.json");
  const ModelConfig config = ModelConfig::from_json(config_json, (folder / "config.json").string());
  SideFiles files;
  for (const auto& name : kSideFiles) {
    if (fs::exists(folder / name)) files[name] = read_file(folder / name);
  }
  if (!files.contains("tokenizer.json")) {
    throw Error(folder.string() + " has no tokenizer.json; save the tokenizer with transformers in its fast form");
  }
  const std::string tokenizer_path = (folder / "tokenizer.json").string();
  auto tokenizer = Tokenizer::from_json(parse_json(files["tokenizer.json"], tokenizer_path), tokenizer_path);
  const auto optional_json = [&](const std::string& name) {
    return files.contains(name) ? parse_json(files[name], (folder / name).string()) : Json::object();
  };
  const Json tokenizer_config = optional_json("tokenizer_config.json");
  std::vector<std::int64_t> stops;
  add_stop(stops, optional_json("generation_config.json").value("eos_token_id", Json()));
  add_stop(stops, config_json.value("eos_token_id", Json()));
  if (const auto eos = tokenizer->id_of(token_text(tokenizer_config, "eos_token"))) add_stop(stops, *eos);
  auto decoder = std::make_shared<Decoder>(config, placed(read_shards(folder), config, device, dtype), folder.string());
  return std::make_unique<LanguageModel>(std::move(decoder), std::move(tokenizer), chat_of(files, tokenizer_config, folder),
                                         std::move(stops), std::move(files));
}

// tokenizer.ggml.* metadata; absent members keep their defaults.
class GgufMetadata {
 public:
  GgufMetadata(const std::map<std::string, Json>& values, const std::string& source) : values_(values), source_(source) {}

  template <typename T>
  T get(const std::string& key, T fallback) const {
    const auto found = values_.find(key);
    if (found == values_.end()) return fallback;
    try {
      return found->second.get<T>();
    } catch (const Json::exception&) {
      throw Error(source_ + ": the metadata \"" + key + "\" has an unexpected type");
    }
  }
  std::optional<std::int64_t> id(const std::string& key) const {
    if (!values_.contains(key)) return std::nullopt;
    return get<std::int64_t>(key, 0);
  }

 private:
  const std::map<std::string, Json>& values_;
  const std::string& source_;
};

GgufVocabulary gguf_vocabulary(const GgufMetadata& metadata) {
  const std::string at = "tokenizer.ggml.";
  GgufVocabulary v;
  v.model = metadata.get<std::string>(at + "model", "");
  v.pre = metadata.get<std::string>(at + "pre", "");
  v.tokens = metadata.get<std::vector<std::string>>(at + "tokens", {});
  v.merges = metadata.get<std::vector<std::string>>(at + "merges", {});
  v.scores = metadata.get<std::vector<float>>(at + "scores", {});
  v.token_types = metadata.get<std::vector<std::int32_t>>(at + "token_type", {});
  v.bos = metadata.id(at + "bos_token_id");
  v.eos = metadata.id(at + "eos_token_id");
  v.unknown = metadata.id(at + "unknown_token_id");
  v.add_bos = metadata.get<bool>(at + "add_bos_token", v.model == "llama");
  v.add_eos = metadata.get<bool>(at + "add_eos_token", false);
  v.add_space_prefix = metadata.get<bool>(at + "add_space_prefix", true);
  return v;
}

std::unique_ptr<LanguageModel> load_gguf(const fs::path& path, c10::Device device, c10::ScalarType dtype) {
  const std::string source = path.string();
  const GgufFile file(path);
  auto [config, weights] = read_gguf_decoder(file, source);
  const GgufMetadata metadata(file.metadata(), source);
  const GgufVocabulary vocabulary = gguf_vocabulary(metadata);
  const Json definition = tokenizer_definition(vocabulary, source);
  auto tokenizer = Tokenizer::from_json(definition, source);

  Json tokenizer_config = {{"tokenizer_class", "PreTrainedTokenizerFast"}, {"clean_up_tokenization_spaces", false}};
  if (vocabulary.bos) tokenizer_config["bos_token"] = tokenizer->token_of(*vocabulary.bos);
  if (vocabulary.eos) tokenizer_config["eos_token"] = tokenizer->token_of(*vocabulary.eos);
  SideFiles files = {{"tokenizer.json", definition.dump()}, {"tokenizer_config.json", tokenizer_config.dump(2)}};
  if (const auto text = metadata.get<std::string>("tokenizer.chat_template", ""); !text.empty())
    files["chat_template.jinja"] = text;
  std::vector<std::int64_t> stops;
  for (const char* key : {"tokenizer.ggml.eos_token_id", "tokenizer.ggml.eot_token_id"}) {
    if (const auto id = metadata.id(key)) add_stop(stops, *id);
  }
  files["generation_config.json"] = Json{{"eos_token_id", stops}}.dump(2);
  auto chat = chat_of(files, tokenizer_config, path);
  auto decoder = std::make_shared<Decoder>(config, placed(std::move(weights), config, device, dtype), source);
  return std::make_unique<LanguageModel>(std::move(decoder), std::move(tokenizer), std::move(chat), std::move(stops),
                                         std::move(files));
}

// The base an adapter names: a path, absolute or relative to the adapter's folder or to the current one.
std::string adapter_base(const fs::path& folder, const Json& config) {
  const Json named = config.value("base_model_name_or_path", Json());
  const std::string base = named.is_string() ? named.get<std::string>() : "";
  if (base == "organism" || fs::exists(base)) return base;
  if (!base.empty() && fs::exists(folder / base)) return (folder / base).string();
  throw Error(folder.string() + " adapts the base model \"" + base +
              "\", which is not there: set base_model_name_or_path in its adapter_config.json");
}

// Refuses what would change the sum W + scale * B A.
void check_plain_lora(const Json& config, const std::string& source) {
  const auto is = [&](const char* key, const Json& plain) { return config.value(key, plain) == plain; };
  if (!is("peft_type", "LORA") || !config.contains("peft_type") || !is("use_dora", false) || !is("bias", "none") ||
      !is("fan_in_fan_out", false)) {
    throw Error(source + " is not a plain LoRA adapter (peft_type LORA, no DoRA, bias \"none\", no fan_in_fan_out)");
  }
  for (const char* key : {"rank_pattern", "alpha_pattern"}) {
    if (!config.value(key, Json()).empty()) {
      throw Error(source + ": \"" + key + "\" is set; one rank and one alpha for all modules are supported");
    }
  }
  for (const char* key : {"r", "lora_alpha"}) {
    const Json value = config.value(key, Json());
    if (!value.is_number() || !(value.get<double>() > 0)) {
      throw Error(source + ": \"" + key + "\" is " + value.dump() + ", expected a positive number");
    }
  }
}

std::unique_ptr<LanguageModel> load_adapter(const fs::path& folder, const LoadOptions& options) {
  const std::string source = (folder / "adapter_config.json").string();
  const Json config = read_json_file(folder / "adapter_config.json");
  if (!config.is_object()) throw Error(source + " is not a JSON object");
  check_plain_lora(config, source);
  auto model = load_model(adapter_base(folder, config), options);
  LoraOptions lora{config["r"].get<std::int64_t>(), config["lora_alpha"].get<double>(), {}};
  if (config.contains("target_modules") && config["target_modules"].is_array()) {
    lora.targets = config["target_modules"].get<std::vector<std::string>>();
  }
  const double rank = static_cast<double>(lora.rank);
  const double scale = lora.alpha / (config.value("use_rslora", false) ? std::sqrt(rank) : rank);
  std::map<std::string, LoraFactors> factors;
  const fs::path weights = folder / "adapter_model.safetensors";
  for (const auto& [name, tensor] : read_safetensors(weights).tensors) {
    const bool is_a = name.ends_with(".lora_A.weight"), is_b = name.ends_with(".lora_B.weight");
    if (name.rfind(kAdapterPrefix, 0) != 0 || (!is_a && !is_b))
      throw Error(weights.string() + " holds \"" + name + "\", which is no LoRA factor");
    const std::string module = name.substr(sizeof(kAdapterPrefix) - 1, name.rfind(".lora_") - sizeof(kAdapterPrefix) + 1);
    LoraFactors& pair = factors[module];
    pair.scale = scale;
    (is_a ? pair.a : pair.b) = tensor;
  }
  model->decoder().set_adapters(std::move(factors), lora, weights.string());
  return model;
}

}  // namespace

std::unique_ptr<LanguageModel> load_model(const std::string& source, const LoadOptions& options) {
  const fs::path path = existing(source);
  const c10::Device device = resolve_device(options.device);
  const c10::ScalarType dtype = resolve_dtype(options.dtype, device);
  if (!fs::is_directory(path)) return load_gguf(path, device, dtype);
  return is_adapter(path) ? load_adapter(path, options) : load_folder(path, device, dtype);
}

std::string checkpoint_digest(const std::string& source) {
  const fs::path path = existing(source);
  if (!fs::is_directory(path)) return remembered_sha256(path);
  Json parts = Json::object();
  std::vector<fs::path> files;
  if (is_adapter(path)) {
    parts["base"] = checkpoint_digest(adapter_base(path, read_json_file(path / "adapter_config.json")));
    files = {path / "adapter_config.json", path / "adapter_model.safetensors"};
  } else {
    files = shards(path);
    files.push_back(path / "config.json");
    for (const auto& name : kSideFiles) {
      if (fs::exists(path / name)) files.push_back(path / name);
    }
  }
  for (const auto& file : files) parts[file.filename().string()] = remembered_sha256(file);
  return sha256(canonical(parts));
}

void save_checkpoint(const LanguageModel& model, const fs::path& folder) {
  fs::create_directories(folder);
  const auto merged = model.clone();
  merged->decoder().merge_adapters();
  Json config = model.decoder().config().to_json(dtype_name(model.decoder().dtype()));
  if (!model.stop_tokens().empty()) config["eos_token_id"] = model.stop_tokens();
  write_file(folder / "config.json", config.dump(2) + "\n");
  for (const auto& [name, content] : model.side_files()) write_file(folder / name, content);
  NamedTensors weights;
  for (const auto& [name, tensor] : merged->decoder().weights()) weights[name] = tensor.cpu().contiguous();
  write_safetensors(folder / "model.safetensors", weights, {{"format", "pt"}});
}

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
  for (const auto& [name, tensor] : decoder.trainable()) factors[kAdapterPrefix + name] = tensor.detach().cpu().contiguous();
  write_safetensors(folder / "adapter_model.safetensors", factors, {{"format", "pt"}});
}

}  // namespace holdfast
