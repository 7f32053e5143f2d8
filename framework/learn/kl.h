// The divergence between two next-token distributions without the memory of either.
#pragma once

#include "learn/predictor.h"

namespace holdfast {

/// KL(reference || own) in nats, (L) in at least float32. Differentiable once, in own.states and own.head. Logits of a chunk of
/// rows are held at a time, `values` of each; the backward pass makes them again.
at::Tensor kl_by_chunks(const Predictor& own, const Predictor& reference, std::int64_t values = kLogitsAtOnce);

}  // namespace holdfast
