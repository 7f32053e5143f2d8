// Causal attention of grouped queries over packed sequences, forward and back, without padding, masks or repeated heads.
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

namespace holdfast::fused {

/// Packed rows: first those of a prefix that begins every sequence (none: 0), then what follows it in each sequence.
struct Sequences {
  std::int64_t prefix = 0;
  std::vector<std::int64_t> lengths;
  std::int64_t window = 0;  // a row sees itself and what came before, of that the last `window` only (0: all)
};

/// softmax(s) v of s = scale q k^T, or, with a cap, of cap tanh(s / cap): q (N, H, D), k and v (N, G, D), float32 on the CPU, H
/// a multiple of G; returns (N, H * D). Scores live a block of rows at a time; the backward pass makes them again.
at::Tensor attend(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const Sequences& sequences, double scale,
                  double cap = 0);

}  // namespace holdfast::fused
