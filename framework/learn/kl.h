// The divergence between two next-token distributions without the memory of either.
#pragma once

#include <ATen/core/Tensor.h>

namespace holdfast {

/// What predicts a token: states behind the final norm (L, C), and the head that makes logits of them.
struct Predictor {
  at::Tensor states;
  at::Tensor head;       // (V, C)
  double logit_cap = 0;  // 0: none
};

/// KL(reference || own) in nats, (L) in at least float32. Differentiable once, in own.states and own.head. Logits of a chunk of
/// rows are held at a time, `values` of each or those of one row; the backward pass makes them again.
at::Tensor kl_by_chunks(const Predictor& own, const Predictor& reference, std::int64_t values = std::int64_t{1} << 23);

}  // namespace holdfast
