// A decoder's shape from config.json, and back.
#include <holdfast/error.h>

#include "base/untrusted.h"
#include "model/config.h"
#include "model/fields.h"

namespace holdfast {
namespace {

const Architecture* architecture_of(const std::string& type, const std::string& source) {
  std::string known;
  if (const auto* found = find_architecture(&Architecture::model_type, type, known)) return found;
  throw Error(source + ": model_type \"" + type + "\" is not supported; supported: " + known);
}

const char* activation_name(const ModelConfig& c) { return c.gelu ? "gelu_pytorch_tanh" : "silu"; }

// What the decoder does not do, though the architecture has a switch for it.
void refuse_switches(const ModelConfig& c, const Fields& fields, const std::string& source) {
  const Architecture& its = *c.architecture;
  const std::string activation = fields.text(its.activation_key, activation_name(c));
  if (activation != activation_name(c)) {
    throw Error(source + ": " + its.activation_key + " \"" + activation +
                "\" is not supported; supported: " + activation_name(c));
  }
  for (const char* bias : {"attention_bias", "mlp_bias"}) {
    if (c.qkv_bias) continue;  // has its biases without a switch
    if (fields.flag(bias, false)) throw Error(source + ": \"" + bias + "\" is true; biases are not supported");
  }
  for (const char* experts : {"num_local_experts", "num_experts"}) {
    if (fields.has(experts) && fields.need(experts) != 0) {
      throw Error(source + ": \"" + experts + "\" is " + in_short(fields.need(experts)) +
                  "; mixtures of experts are not supported");
    }
  }
  if (fields.flag("use_bidirectional_attention", false)) {
    throw Error(source + ": \"use_bidirectional_attention\" is true; only causal attention is supported");
  }
  if (fields.has("quantization_config")) {
    throw Error(source + ": \"quantization_config\" is set; quantised weights are read from GGUF files only");
  }
  if (its.query_scalar && its.score_cap == 0 && fields.has("attn_logit_softcapping")) {
    throw Error(source + ": \"attn_logit_softcapping\" is set; it is supported in gemma2 only");
  }
}

void read_sizes(ModelConfig& c, const Fields& fields) {
  c.vocabulary = fields.count("vocab_size");
  c.width = fields.count("hidden_size");
  c.feed_forward = fields.count("intermediate_size");
  c.layers = fields.count_up_to(kMostLayers, "num_hidden_layers");
  c.heads = fields.count("num_attention_heads");
  c.kv_heads = fields.count("num_key_value_heads", c.heads);
  const Architecture& its = *c.architecture;
  c.head_width = fields.count("head_dim", its.head_width > 0 ? its.head_width : c.width / c.heads);
  c.max_positions = fields.count("max_position_embeddings", 2048);
  c.norm_eps = fields.positive("rms_norm_eps", 1e-6);
  c.tied_head = fields.flag("tie_word_embeddings", its.tied_head);
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
  c.rope.theta = fields.positive("rope_theta", c.architecture->rope_theta);
  if (c.architecture->sliding_rope) c.sliding_rope = Rope{fields.positive("rope_local_base_freq", 10000), std::nullopt};
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
  const Architecture& its = *c.architecture;
  if (its.window == Window::kSwitched) return layer >= fields.count("max_window_layers", 28);
  if (its.window != Window::kPattern) return true;
  const std::int64_t every = its.full_every_key == nullptr ? its.full_every : fields.count(its.full_every_key, its.full_every);
  return (layer + 1) % every != 0;
}

std::vector<bool> sliding_layers(const ModelConfig& c, const Fields& fields, const std::string& source) {
  std::vector<bool> sliding;
  if (!fields.has("layer_types") || c.architecture->window == Window::kEveryLayer) {
    for (std::int64_t l = 0; l < c.layers; ++l) sliding.push_back(slides_by_rule(c, l, fields));
    return sliding;
  }
  const Json& types = fields.need("layer_types");
  if (!types.is_array() || types.size() != static_cast<std::size_t>(c.layers)) {
    throw Error(source + ": \"layer_types\" is " + in_short(types) + ", expected " + std::to_string(c.layers) + " names");
  }
  for (const Json& type : types) {
    if (type != "sliding_attention" && type != "full_attention") {
      throw Error(source + ": layer type " + in_short(type) +
                  " is not supported; supported: sliding_attention, full_attention");
    }
    sliding.push_back(type == "sliding_attention");
  }
  return sliding;
}

void read_window(ModelConfig& c, const Fields& fields, const std::string& source) {
  const Window window = c.architecture->window;
  if (window == Window::kNone || (window == Window::kSwitched && !fields.flag("use_sliding_window", false))) return;
  if (fields.positive_or_none("sliding_window", 4096) == 0) {
    if (window == Window::kPattern) throw Error(source + ": \"sliding_window\" is null, expected a positive integer");
    return;
  }
  c.window = fields.count("sliding_window", 4096);
  c.sliding = sliding_layers(c, fields, source);
}

void read_scores(ModelConfig& c, const Fields& fields) {
  const Architecture& its = *c.architecture;
  if (!its.query_scalar) return;
  c.query_scalar = fields.count("query_pre_attn_scalar", 256);
  c.score_cap = its.score_cap > 0 ? fields.positive_or_none("attn_logit_softcapping", its.score_cap) : 0;
  c.logit_cap = fields.positive_or_none("final_logit_softcapping", its.logit_cap);
}

// The entries that not every architecture has.
void write_window(const ModelConfig& c, Json& json) {
  const Window window = c.architecture->window;
  if (window == Window::kNone) return;
  const bool any = c.window > 0;
  json["sliding_window"] = any ? Json(c.window) : Json();
  if (window == Window::kEveryLayer) return;
  Json types = Json::array();
  for (std::int64_t l = 0; l < c.layers; ++l) types.push_back(c.is_sliding(l) ? "sliding_attention" : "full_attention");
  json["layer_types"] = types;
  if (window != Window::kSwitched) return;
  std::int64_t first = 0;
  while (first < c.layers && !c.is_sliding(first)) ++first;
  json["use_sliding_window"] = any;
  json["max_window_layers"] = first;  // for readers that know no layer_types
}

void write_scores(const ModelConfig& c, Json& json) {
  if (!c.architecture->query_scalar) return;
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
  read_scores(c, fields);
  check_heads(c, source);
  return c;
}

Json ModelConfig::to_json(const std::string& dtype) const {
  Json json = {{"architectures", {architecture->model_class}},
               {"model_type", architecture->model_type},
               {architecture->activation_key, activation_name(*this)},
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
  write_scores(*this, json);
  return json;
}

}  // namespace holdfast
