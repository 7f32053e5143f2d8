// The shape of a decoder, as config.json or GGUF metadata state it.
#pragma once

#include <optional>
#include <string>

#include "base/json.h"

namespace holdfast {

/// "llama3" rotary scaling: low frequencies are divided by `factor`, high ones kept, those between blended.
struct RopeScaling {
  double factor = 1;
  double low_freq_factor = 1;
  double high_freq_factor = 4;
  std::int64_t original_max_positions = 8192;
};

struct ModelConfig {
  std::int64_t vocabulary = 0;
  std::int64_t width = 0;         // hidden_size
  std::int64_t feed_forward = 0;  // intermediate_size
  std::int64_t layers = 0;
  std::int64_t heads = 0;
  std::int64_t kv_heads = 0;
  std::int64_t head_width = 0;
  std::int64_t max_positions = 2048;
  double norm_eps = 1e-5;
  double rope_theta = 10000;
  std::optional<RopeScaling> rope_scaling;
  bool tied_head = false;

  /// From the content of config.json. Throws Error naming `source` for an architecture or feature that is not supported.
  static ModelConfig from_json(const Json& config, const std::string& source);
  /// From GGUF metadata of architecture "llama". `tied_head` is left to the caller, who sees whether output.weight exists.
  static ModelConfig from_gguf(const std::map<std::string, Json>& metadata, const std::string& source);
  /// The config.json of an exported folder.
  Json to_json(const std::string& dtype) const;
};

}  // namespace holdfast
