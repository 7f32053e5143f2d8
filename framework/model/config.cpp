#include "model/config.h"

#include <holdfast/error.h>

#include <algorithm>
#include <cmath>

#include "model/fields.h"

namespace holdfast {
namespace {

using enum Architecture;

struct Names {
  Architecture architecture;
  const char* model_type;
  const char* model_class;
};

constexpr Names kNames[] = {
    {kLlama, "llama", "LlamaForCausalLM"},    {kMistral, "mistral", "MistralForCausalLM"},
    {kQwen2, "qwen2", "Qwen2ForCausalLM"},    {kQwen3, "qwen3", "Qwen3ForCausalLM"},
    {kGemma2, "gemma2", "Gemma2ForCausalLM"}, {kGemma3, "gemma3_text", "Gemma3ForCausalLM"},
};

const Names& names_of(Architecture architecture) {
  return *std::find_if(std::begin(kNames), std::end(kNames), [&](const Names& n) { return n.architecture == architecture; });
}

Architecture architecture_of(const std::string& type, const std::string& source) {
  std::string known;
  for (const Names& names : kNames) {
    if (type == names.model_type) return names.architecture;
    known += (known.empty() ? "" : ", ") + std::string(names.model_type);
  }
  throw Error(source + ": model_type \"" + type + "\" is not supported; supported: " + known);
}

bool is_qwen(const ModelConfig& c) { return c.architecture == kQwen2 || c.architecture == kQwen3; }
bool is_gemma(const ModelConfig& c) { return c.architecture == kGemma2 || c.architecture == kGemma3; }

const char* activation_key(const ModelConfig& c) { return is_gemma(c) ? "hidden_activation" : "hidden_act"; }
const char* activation_name(const ModelConfig& c) { return c.gelu ? "gelu_pytorch_tanh" : "silu"; }

// What the decoder does not do, though the architecture has a switch for it.
void refuse_switches(const ModelConfig& c, const Fields& fields, const std::string& source) {
  const std::string activation = fields.text(activation_key(c), activation_name(c));
  if (activation != activation_name(c)) {
    throw Error(source + ": " + activation_key(c) + " \"" + activation +
                "\" is not supported; supported: " + activation_name(c));
  }
  for (const char* bias : {"attention_bias", "mlp_bias"}) {
    if (c.architecture == kQwen2) continue;  // has its biases without a switch
    if (fields.flag(bias, false)) throw Error(source + ": \"" + bias + "\" is true; biases are not supported");
  }
  for (const char* experts : {"num_local_experts", "num_experts"}) {
    if (fields.has(experts) && fields.need(experts) != 0) {
      throw Error(source + ": \"" + experts + "\" is " + fields.need(experts).dump() +
                  "; mixtures of experts are not supported");
    }
  }
  if (fields.flag("use_bidirectional_attention", false)) {
    throw Error(source + ": \"use_bidirectional_attention\" is true; only causal attention is supported");
  }
  if (fields.has("quantization_config")) {
    throw Error(source + ": \"quantization_config\" is set; quantised weights are read from GGUF files only");
  }
  if (c.architecture == kGemma3 && fields.has("attn_logit_softcapping")) {
    throw Error(source + ": \"attn_logit_softcapping\" is set; it is supported in gemma2 only");
  }
}

void read_sizes(ModelConfig& c, const Fields& fields) {
  c.vocabulary = fields.count("vocab_size");
  c.width = fields.count("hidden_size");
  c.feed_forward = fields.count("intermediate_size");
  c.layers = fields.count("num_hidden_layers");
  c.heads = fields.count("num_attention_heads");
  c.kv_heads = fields.count("num_key_value_heads", c.heads);
  const std::int64_t usual = is_gemma(c) ? 256 : c.architecture == kQwen3 ? 128 : c.width / c.heads;
  c.head_width = fields.count("head_dim", usual);
  c.max_positions = fields.count("max_position_embeddings", 2048);
  c.norm_eps = fields.positive("rms_norm_eps", 1e-6);
  c.tied_head = fields.flag("tie_word_embeddings", is_gemma(c));
}

std::optional<RopeScaling> rope_scaling(const Fields& table, const std::string& source) {
  const std::string type = table.text("rope_type", table.text("type", "default"));
  if (table.positive("partial_rotary_factor", 1) != 1) {
    throw Error(source + ": \"partial_rotary_factor\" is set; heads that are rotated in part are not supported");
  }
  if (type == "default") return std::nullopt;
  if (type == "linear") return RopeScaling{RopeScaling::Type::kLinear, table.positive("factor")};
  if (type != "llama3") {
    throw Error(source + ": rotary scaling \"" + type + "\" is not supported; supported: llama3, linear, default");
  }
  return RopeScaling{RopeScaling::Type::kLlama3, table.positive("factor", 8), table.positive("low_freq_factor", 1),
                     table.positive("high_freq_factor", 4), table.count("original_max_position_embeddings", 8192)};
}

// A table of rotary settings; what it does not say stays as it was.
void read_rope_table(Rope& rope, const Json& json, const std::string& name, const std::string& source) {
  if (!json.is_object()) throw Error(source + ": \"" + name + "\" is not a table");
  const Fields table(json, "", source + ": " + name);
  rope.scaling = rope_scaling(table, source);
  rope.theta = table.positive("rope_theta", rope.theta);
}

void read_rope(ModelConfig& c, const Fields& fields, const std::string& source) {
  c.rope.theta = fields.positive("rope_theta", c.architecture == kGemma3 ? 1e6 : 10000);
  if (c.architecture == kGemma3) c.sliding_rope = Rope{fields.positive("rope_local_base_freq", 10000), std::nullopt};
  // transformers 5 moved the rotary settings into one table of the second name, and there Gemma-3 has one for each kind of
  // layer.
  for (const std::string name : {"rope_scaling", "rope_parameters"}) {
    if (!fields.has(name)) continue;
    const Json& table = fields.need(name);
    const bool by_kind = c.sliding_rope && (table.contains("full_attention") || table.contains("sliding_attention"));
    if (!by_kind) {
      read_rope_table(c.rope, table, name, source);
      continue;
    }
    if (table.contains("full_attention")) read_rope_table(c.rope, table["full_attention"], name, source);
    if (table.contains("sliding_attention")) read_rope_table(*c.sliding_rope, table["sliding_attention"], name, source);
    if (c.sliding_rope->scaling) throw Error(source + ": rotary scaling of sliding layers is not supported");
  }
}

// The rule by which configurations without "layer_types" say which layers slide.
bool slides_by_rule(const ModelConfig& c, std::int64_t layer, const Fields& fields) {
  if (is_qwen(c)) return layer >= fields.count("max_window_layers", 28);
  if (c.architecture == kGemma2) return (layer + 1) % 2 != 0;
  if (c.architecture == kGemma3) return (layer + 1) % fields.count("sliding_window_pattern", 6) != 0;
  return true;
}

std::vector<bool> sliding_layers(const ModelConfig& c, const Fields& fields, const std::string& source) {
  std::vector<bool> sliding;
  if (!fields.has("layer_types") || c.architecture == kMistral) {
    for (std::int64_t l = 0; l < c.layers; ++l) sliding.push_back(slides_by_rule(c, l, fields));
    return sliding;
  }
  const Json& types = fields.need("layer_types");
  if (!types.is_array() || types.size() != static_cast<std::size_t>(c.layers)) {
    throw Error(source + ": \"layer_types\" is " + types.dump() + ", expected " + std::to_string(c.layers) + " names");
  }
  for (const Json& type : types) {
    if (type != "sliding_attention" && type != "full_attention") {
      throw Error(source + ": layer type " + type.dump() + " is not supported; supported: sliding_attention, full_attention");
    }
    sliding.push_back(type == "sliding_attention");
  }
  return sliding;
}

void read_window(ModelConfig& c, const Fields& fields, const std::string& source) {
  if (c.architecture == kLlama || (is_qwen(c) && !fields.flag("use_sliding_window", false))) return;
  if (fields.positive_or_none("sliding_window", 4096) == 0) {
    if (is_gemma(c)) throw Error(source + ": \"sliding_window\" is null, expected a positive integer");
    return;
  }
  c.window = fields.count("sliding_window", 4096);
  c.sliding = sliding_layers(c, fields, source);
}

void read_gemma(ModelConfig& c, const Fields& fields) {
  const bool second = c.architecture == kGemma2;
  c.query_scalar = fields.count("query_pre_attn_scalar", 256);
  c.score_cap = second ? fields.positive_or_none("attn_logit_softcapping", 50) : 0;
  c.logit_cap = fields.positive_or_none("final_logit_softcapping", second ? 30 : 0);
}

// The entries that not every architecture has.
void write_window(const ModelConfig& c, Json& json) {
  if (c.architecture == kLlama) return;
  const bool any = c.window > 0;
  json["sliding_window"] = any ? Json(c.window) : Json();
  if (c.architecture == kMistral) return;
  Json types = Json::array();
  for (std::int64_t l = 0; l < c.layers; ++l) types.push_back(c.is_sliding(l) ? "sliding_attention" : "full_attention");
  json["layer_types"] = types;
  if (!is_qwen(c)) return;
  std::int64_t first = 0;
  while (first < c.layers && !c.is_sliding(first)) ++first;
  json["use_sliding_window"] = any;
  json["max_window_layers"] = first;  // for readers that know no layer_types
}

void write_gemma(const ModelConfig& c, Json& json) {
  json["query_pre_attn_scalar"] = c.query_scalar.value_or(c.head_width);
  json["attn_logit_softcapping"] = c.score_cap > 0 ? Json(c.score_cap) : Json();
  json["final_logit_softcapping"] = c.logit_cap > 0 ? Json(c.logit_cap) : Json();
}

Json rope_scaling_table(const RopeScaling& scaling) {
  if (scaling.type == RopeScaling::Type::kLinear) return {{"rope_type", "linear"}, {"factor", scaling.factor}};
  return {{"rope_type", "llama3"},
          {"factor", scaling.factor},
          {"low_freq_factor", scaling.low_freq_factor},
          {"high_freq_factor", scaling.high_freq_factor},
          {"original_max_position_embeddings", scaling.original_max_positions}};
}

}  // namespace

std::string model_type(Architecture architecture) { return names_of(architecture).model_type; }

void set_traits(ModelConfig& c) {
  c.qkv_bias = c.architecture == kQwen2;
  c.qk_norm = c.architecture == kQwen3 || c.architecture == kGemma3;
  c.outer_norms = c.offset_norms = c.gelu = is_gemma(c);
  if (is_gemma(c)) c.embedding_scale = std::sqrt(static_cast<double>(c.width));
}

void check_heads(const ModelConfig& config, const std::string& source) {
  if (config.heads % config.kv_heads != 0) {
    throw Error(source + ": " + std::to_string(config.heads) + " attention heads cannot share " +
                std::to_string(config.kv_heads) + " key-value heads evenly");
  }
  if (config.head_width % 2 != 0) {
    throw Error(source + ": the head width is " + std::to_string(config.head_width) + ", rotary positions need an even one");
  }
}

ModelConfig ModelConfig::from_json(const Json& config, const std::string& source) {
  if (!config.is_object()) throw Error(source + " is not a JSON object");
  const Fields fields(config, "", source);
  ModelConfig c;
  c.architecture = architecture_of(fields.text("model_type", ""), source);
  read_sizes(c, fields);
  set_traits(c);
  refuse_switches(c, fields, source);
  read_rope(c, fields, source);
  read_window(c, fields, source);
  if (is_gemma(c)) read_gemma(c, fields);
  check_heads(c, source);
  return c;
}

Json ModelConfig::to_json(const std::string& dtype) const {
  const Names& names = names_of(architecture);
  Json json = {{"architectures", {names.model_class}},
               {"model_type", names.model_type},
               {activation_key(*this), activation_name(*this)},
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
               {"rope_theta", rope.theta},
               {"tie_word_embeddings", tied_head},
               {"attention_bias", qkv_bias},
               {"mlp_bias", false}};
  if (rope.scaling) json["rope_scaling"] = rope_scaling_table(*rope.scaling);
  if (sliding_rope) json["rope_local_base_freq"] = sliding_rope->theta;
  write_window(*this, json);
  if (is_gemma(*this)) write_gemma(*this, json);
  return json;
}

}  // namespace holdfast
