// The shape of a decoder, as config.json or GGUF metadata state it.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "model/architectures.h"
#include "model/rope.h"

namespace holdfast {

struct ModelConfig {
  const Architecture* architecture = kArchitectures;  // the names in files; what it means for the decoder is below
  std::int64_t vocabulary = 0;
  std::int64_t width = 0;         // hidden_size
  std::int64_t feed_forward = 0;  // intermediate_size
  std::int64_t layers = 0;
  std::int64_t heads = 0;
  std::int64_t kv_heads = 0;
  std::int64_t head_width = 0;
  std::int64_t max_positions = 2048;
  double norm_eps = 1e-5;
  Rope rope;
  bool tied_head = false;

  // Where architectures part. The defaults are Llama's.
  bool qkv_bias = false;                     // the query, key and value projections have biases
  bool qk_norm = false;                      // each query and key head is normed before it is rotated
  bool outer_norms = false;                  // attention and feed-forward are normed behind as well as before
  bool offset_norms = false;                 // norms multiply by 1 + weight
  bool gelu = false;                         // the gate is a tanh GELU instead of a SiLU
  double embedding_scale = 1;                // embeddings are multiplied by it
  std::optional<std::int64_t> query_scalar;  // scores are divided by its root; absent: by that of head_width
  double score_cap = 0;                      // attention scores s become cap * tanh(s / cap); 0: they stay
  double logit_cap = 0;                      // the same for logits
  std::vector<bool> sliding;                 // for each layer, whether it sees the last `window` tokens only; empty: none does
  std::int64_t window = 0;                   // a token itself included
  std::optional<Rope> sliding_rope;          // of sliding layers; absent: as in the others

  bool is_sliding(std::int64_t layer) const { return !sliding.empty() && sliding[static_cast<std::size_t>(layer)]; }

  /// From the content of config.json. Throws Error naming `source` for an architecture or feature that is not supported.
  static ModelConfig from_json(const Json& config, const std::string& source);
  /// From GGUF metadata. Left to the caller, who sees the tensors: `tied_head`, true when there is no output.weight, and the
  /// rotary scaling of Llama-3, which is a tensor there.
  static ModelConfig from_gguf(const std::map<std::string, Json>& metadata, const std::string& source);
  /// The config.json of an exported folder.
  Json to_json(const std::string& dtype) const;
};

/// The architecture that a file calls `name` there (&Architecture::model_type, &Architecture::gguf), or null; `known` gets the
/// names that there are.
const Architecture* find_architecture(const char* Architecture::*names, const std::string& name, std::string& known);

/// Sets the traits of the config's architecture. `width` must be known.
void set_traits(ModelConfig& config);

/// Throws Error naming `source` for head counts and widths that do not go together.
void check_heads(const ModelConfig& config, const std::string& source);

}  // namespace holdfast
