// Grouped-query attention over packed sequences, from rotated queries and keys. Letters of shapes: decoder.h.
#pragma once

#include "model/layout.h"

namespace holdfast {

/// A layer's part of a cache, of the sequences of a forward.
struct CachedLayer {
  at::Tensor keys, values;  // (B, G, capacity, D)
};

/// q (N, H, D), k and v (N, G, D) -> (N, H * D). With a cache k and v are added to it.
at::Tensor attend(const ModelConfig& config, const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                  const Layout& layout, const View& view, const std::optional<CachedLayer>& cache);

/// What scores are multiplied by before all else: 1 / sqrt(D), or what the architecture has in its place.
double score_scale(const ModelConfig& config);

/// What each token of one whole sequence makes of those that it sees: q (T, H, D), k (T, G, D) -> (H, T, T), rows sum to 1, in
/// at least float32, with graph. window: that of the layer, 0 for none.
at::Tensor attention_shares(const ModelConfig& config, const at::Tensor& q, const at::Tensor& k, std::int64_t window);

/// Scores and logits that are capped: cap * tanh(x / cap).
at::Tensor capped(const at::Tensor& x, double cap);

}  // namespace holdfast
