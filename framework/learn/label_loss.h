// The likelihood of label tokens without the memory of their distributions.
#pragma once

#include "learn/predictor.h"

namespace holdfast {

/// Natural log-probabilities of labels (L) int64, (L) in at least float32. Differentiable once, in states and head; where the
/// head is trained the backward pass makes the logits again.
at::Tensor label_log_probs(const Predictor& own, const at::Tensor& labels, std::int64_t values = kLogitsAtOnce);

/// Minus their sum, each times its weight (L), a scalar. Differentiable once, in states and head: the gradient is made with the
/// value, chunk by chunk, so that each logit is computed once.
at::Tensor label_loss(const Predictor& own, const at::Tensor& labels, const at::Tensor& weights,
                      std::int64_t values = kLogitsAtOnce);

}  // namespace holdfast
