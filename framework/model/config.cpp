#include "model/config.h"

#include <holdfast/error.h>

namespace holdfast {
namespace {

// A member of config.json or of GGUF metadata, checked for presence, type and sense.
class Fields {
 public:
  Fields(Json values, std::string prefix, std::string source)
      : values_(std::move(values)), prefix_(std::move(prefix)), source_(std::move(source)) {}

  bool has(const std::string& name) const { return values_.contains(prefix_ + name) && !values_[prefix_ + name].is_null(); }

  std::int64_t count(const std::string& name) const {
    const Json& value = need(name);
    // The bound keeps products of sizes far from overflow; no real model comes near it.
    if (!value.is_number_integer() || value.get<std::int64_t>() < 1 || value.get<std::int64_t>() > (1 << 28)) {
      throw Error(source_ + ": \"" + prefix_ + name + "\" is " + value.dump() + ", expected a positive integer");
    }
    return value.get<std::int64_t>();
  }
  std::int64_t count(const std::string& name, std::int64_t fallback) const { return has(name) ? count(name) : fallback; }

  double positive(const std::string& name, double fallback) const {
    if (!has(name)) return fallback;
    const Json& value = need(name);
    if (!value.is_number() || !(value.get<double>() > 0)) {
      throw Error(source_ + ": \"" + prefix_ + name + "\" is " + value.dump() + ", expected a positive number");
    }
    return value.get<double>();
  }

  std::string text(const std::string& name, const std::string& fallback) const {
    if (!has(name)) return fallback;
    if (!need(name).is_string()) throw Error(source_ + ": \"" + prefix_ + name + "\" is not a text");
    return need(name).get<std::string>();
  }

  bool flag(const std::string& name, bool fallback) const {
    if (!has(name)) return fallback;
    if (!need(name).is_boolean()) throw Error(source_ + ": \"" + prefix_ + name + "\" is not true or false");
    return need(name).get<bool>();
  }

  const Json& need(const std::string& name) const {
    if (!has(name)) throw Error(source_ + " lacks \"" + prefix_ + name + "\"");
    return values_[prefix_ + name];
  }

 private:
  Json values_;
  std::string prefix_, source_;
};

void check_heads(const ModelConfig& config, const std::string& source) {
  if (config.heads % config.kv_heads != 0) {
    throw Error(source + ": " + std::to_string(config.heads) + " attention heads cannot share " +
                std::to_string(config.kv_heads) + " key-value heads evenly");
  }
  if (config.head_width % 2 != 0) {
    throw Error(source + ": the head width is " + std::to_string(config.head_width) + ", rotary positions need an even one");
  }
}

std::optional<RopeScaling> rope_scaling(const Json& table, const std::string& source) {
  const Fields scaling(table, "", source + ": rope_scaling");
  const std::string type = scaling.text("rope_type", scaling.text("type", "default"));
  if (type == "default") return std::nullopt;
  if (type != "llama3") {
    throw Error(source + ": rotary scaling \"" + type + "\" is not supported; supported: llama3, default");
  }
  return RopeScaling{scaling.positive("factor", 8), scaling.positive("low_freq_factor", 1),
                     scaling.positive("high_freq_factor", 4), scaling.count("original_max_position_embeddings", 8192)};
}

}  // namespace

ModelConfig ModelConfig::from_json(const Json& config, const std::string& source) {
  if (!config.is_object()) throw Error(source + " is not a JSON object");
  const Fields fields(config, "", source);
  const std::string type = fields.text("model_type", "");
  if (type != "llama") {
    throw Error(source + ": model_type \"" + type + "\" is not supported; supported: llama");
  }
  if (fields.text("hidden_act", "silu") != "silu") {
    throw Error(source + ": hidden_act \"" + fields.text("hidden_act", "") + "\" is not supported; supported: silu");
  }
  for (const char* bias : {"attention_bias", "mlp_bias"}) {
    if (fields.flag(bias, false)) throw Error(source + ": \"" + bias + "\" is true; biases are not supported");
  }
  ModelConfig c;
  c.vocabulary = fields.count("vocab_size");
  c.width = fields.count("hidden_size");
  c.feed_forward = fields.count("intermediate_size");
  c.layers = fields.count("num_hidden_layers");
  c.heads = fields.count("num_attention_heads");
  c.kv_heads = fields.count("num_key_value_heads", c.heads);
  c.head_width = fields.count("head_dim", c.width / c.heads);
  c.max_positions = fields.count("max_position_embeddings", 2048);
  c.norm_eps = fields.positive("rms_norm_eps", 1e-6);
  c.rope_theta = fields.positive("rope_theta", 10000);
  c.tied_head = fields.flag("tie_word_embeddings", false);
  // transformers 5 moved the rotary settings into one table of this name; older checkpoints keep "rope_scaling".
  for (const char* name : {"rope_scaling", "rope_parameters"}) {
    if (!fields.has(name)) continue;
    c.rope_scaling = holdfast::rope_scaling(config[name], source);
    c.rope_theta = Fields(config[name], "", source + ": " + name).positive("rope_theta", c.rope_theta);
  }
  check_heads(c, source);
  return c;
}

ModelConfig ModelConfig::from_gguf(const std::map<std::string, Json>& metadata, const std::string& source) {
  const Json values(metadata);
  const std::string architecture = Fields(values, "", source).text("general.architecture", "");
  if (architecture != "llama") {
    throw Error(source + ": architecture \"" + architecture + "\" is not supported; supported: llama");
  }
  const Fields fields(values, "llama.", source);
  ModelConfig c;
  c.width = fields.count("embedding_length");
  c.feed_forward = fields.count("feed_forward_length");
  c.layers = fields.count("block_count");
  c.heads = fields.count("attention.head_count");
  c.kv_heads = fields.count("attention.head_count_kv", c.heads);
  c.head_width = fields.count("attention.key_length", c.width / c.heads);
  c.max_positions = fields.count("context_length", 2048);
  c.norm_eps = fields.positive("attention.layer_norm_rms_epsilon", 1e-5);
  c.rope_theta = fields.positive("rope.freq_base", 10000);
  const std::string scaling = fields.text("rope.scaling.type", "none");
  if (scaling != "none") throw Error(source + ": rotary scaling \"" + scaling + "\" is not supported in GGUF files");
  const Fields tokenizer(values, "tokenizer.ggml.", source);
  c.vocabulary = static_cast<std::int64_t>(tokenizer.need("tokens").size());
  check_heads(c, source);
  return c;
}

Json ModelConfig::to_json(const std::string& dtype) const {
  Json json = {{"architectures", {"LlamaForCausalLM"}},
               {"model_type", "llama"},
               {"hidden_act", "silu"},
               {"torch_dtype", dtype},
               {"vocab_size", vocabulary},
               {"hidden_size", width},
               {"intermediate_size", feed_forward},
               {"num_hidden_layers", layers},
               {"num_attention_heads", heads},
               {"num_key_value_heads", kv_heads},
               {"head_dim", head_width},
               {"max_position_embeddings", max_positions},
               {"rms_norm_eps", norm_eps},
               {"rope_theta", rope_theta},
               {"tie_word_embeddings", tied_head},
               {"attention_bias", false},
               {"mlp_bias", false}};
  if (rope_scaling) {
    json["rope_scaling"] = {{"rope_type", "llama3"},
                            {"factor", rope_scaling->factor},
                            {"low_freq_factor", rope_scaling->low_freq_factor},
                            {"high_freq_factor", rope_scaling->high_freq_factor},
                            {"original_max_position_embeddings", rope_scaling->original_max_positions}};
  }
  return json;
}

}  // namespace holdfast
