// A decoder's shape from GGUF metadata: llama.cpp's keys, and what its loader knows without a key.
#include <holdfast/error.h>

#include "base/untrusted.h"
#include "model/config.h"
#include "model/fields.h"

namespace holdfast {
namespace {

const Architecture* gguf_architecture(const std::string& name, const std::string& source) {
  std::string known;
  if (const auto* found = find_architecture(&Architecture::gguf, name, known)) return found;
  throw Error(source + ": architecture \"" + name + "\" is not supported; supported: " + known);
}

void read_gguf_sizes(ModelConfig& c, const Fields& fields) {
  c.width = fields.count("embedding_length");
  c.feed_forward = fields.count("feed_forward_length");
  c.layers = fields.count_up_to(kMostLayers, "block_count");
  c.heads = fields.count("attention.head_count");
  c.kv_heads = fields.count("attention.head_count_kv", c.heads);
  c.head_width = fields.count("attention.key_length", c.width / c.heads);
  c.max_positions = fields.count("context_length");
  c.norm_eps = fields.positive("attention.layer_norm_rms_epsilon");
}

// What llama.cpp does when a key says so, and the decoder does not.
void refuse_gguf_switches(const ModelConfig& c, const Fields& fields, const std::string& source) {
  const auto refuse = [&](const std::string& key, const std::string& expected) {
    if (!fields.has(key)) return;
    throw Error(source + ": \"" + fields.prefix() + key + "\" is " + in_short(fields.need(key)) + "; supported: " + expected);
  };
  if (fields.count("attention.value_length", c.head_width) != c.head_width) {
    refuse("attention.value_length", "the " + std::to_string(c.head_width) + " of the keys");
  }
  if (fields.positive("rope.scaling.attn_factor", 1) != 1) refuse("rope.scaling.attn_factor", "1");
}

void read_gguf_rope(ModelConfig& c, const Fields& fields, const std::string& source) {
  c.rope.theta = fields.positive("rope.freq_base", 10000);
  if (c.architecture->sliding_rope) c.sliding_rope = Rope{fields.positive("rope.freq_base_swa", 10000), std::nullopt};
  if (const auto rotated = fields.count("rope.dimension_count", c.head_width); rotated != c.head_width) {
    throw Error(source + ": " + std::to_string(rotated) + " of the " + std::to_string(c.head_width) +
                " values of a head are rotated; heads that are rotated in part are not supported");
  }
  const std::string scaling = fields.text("rope.scaling.type", "linear");
  if (scaling == "none") return;
  if (scaling != "linear") {
    throw Error(source + ": rotary scaling \"" + scaling + "\" is not supported in GGUF files; supported: linear, none");
  }
  // The second key is an older name of the first; a factor of 0 says none, as its absence does.
  for (const char* key : {"rope.scaling.factor", "rope.scale_linear"}) {
    if (!fields.has(key)) continue;
    if (fields.need(key) != 0 && fields.positive(key) != 1) {
      c.rope.scaling = RopeScaling{RopeScaling::Type::kLinear, fields.positive(key)};
    }
    return;
  }
}

// Which layers slide stands in no key.
void read_gguf_window(ModelConfig& c, const Fields& fields, const std::string& source) {
  const Architecture& its = *c.architecture;
  if (its.window != Window::kPattern) return;
  const char* key = "attention.sliding_window";
  c.window = its.gguf_window > 0 ? fields.count(key, its.gguf_window) : fields.count(key);
  if (fields.count("attention.sliding_window_pattern", its.full_every) != its.full_every) {
    throw Error(source + ": \"" + fields.prefix() + "attention.sliding_window_pattern\" is " +
                in_short(fields.need("attention.sliding_window_pattern")) + "; supported: " + std::to_string(its.full_every));
  }
  for (std::int64_t l = 0; l < c.layers; ++l) c.sliding.push_back((l + 1) % its.full_every != 0);
}

// That the largest models divide scores by the root of width / heads stands in no key either.
void read_gguf_scores(ModelConfig& c, const Fields& fields) {
  const Architecture& its = *c.architecture;
  if (!its.query_scalar) return;
  c.query_scalar = c.layers == its.gguf_largest ? c.width / c.heads : c.head_width;
  c.score_cap = its.score_cap > 0 ? fields.positive("attn_logit_softcapping", its.score_cap) : 0;
  c.logit_cap = fields.positive("final_logit_softcapping", its.logit_cap);
}

}  // namespace

ModelConfig ModelConfig::from_gguf(const std::map<std::string, Json>& metadata, const std::string& source) {
  const Json values(metadata);
  const std::string name = Fields(values, "", source).text("general.architecture", "");
  ModelConfig c;
  c.architecture = gguf_architecture(name, source);
  const Fields fields(values, name + ".", source);
  if (fields.has("expert_count") && fields.need("expert_count") != 0) {
    throw Error(source + ": \"" + name + ".expert_count\" is " + in_short(fields.need("expert_count")) +
                "; mixtures of experts are not supported");
  }
  read_gguf_sizes(c, fields);
  c.vocabulary = static_cast<std::int64_t>(Fields(values, "tokenizer.ggml.", source).need("tokens").size());
  set_traits(c);
  refuse_gguf_switches(c, fields, source);
  read_gguf_rope(c, fields, source);
  read_gguf_window(c, fields, source);
  read_gguf_scores(c, fields);
  check_heads(c, source);
  return c;
}

}  // namespace holdfast
