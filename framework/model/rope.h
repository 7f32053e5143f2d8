// Rotary positions: how fast each plane of a head turns.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace holdfast {

/// A stretch to contexts longer than those of pre-training. "linear": every frequency is divided by `factor`. "llama3": low
/// frequencies are divided by `factor`, high ones kept, those between blended.
struct RopeScaling {
  enum class Type { kLinear, kLlama3 };
  Type type = Type::kLlama3;
  double factor = 1;
  double low_freq_factor = 1;  // this and what follows: "llama3" only
  double high_freq_factor = 4;
  std::int64_t original_max_positions = 8192;
};

struct Rope {
  double theta = 10000;
  std::optional<RopeScaling> scaling;

  /// Radians a position of each plane, (head_width / 2).
  std::vector<double> frequencies(std::int64_t head_width) const;
};

/// The scaling behind the divisors of each plane's frequency that a GGUF file of a Llama-3 model states in place of it
/// (rope_freqs.weight). Throws Error naming `source` when no Llama-3 scaling gives them.
RopeScaling llama3_scaling(const Rope& rope, const std::vector<double>& divisors, const std::string& source);

}  // namespace holdfast
