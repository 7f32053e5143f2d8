// From logits to the log-probability of each row's label, and to its slopes.
#pragma once

#include <ATen/core/Tensor.h>

namespace holdfast::fused {

/// Log-probabilities (rows) of labels (rows) int64 under logits (rows, V), float32 on the CPU and contiguous. Where `slopes` is
/// set each row of logits becomes the derivative of its log-probability: 1 at the label, less the softmax.
at::Tensor label_rows(at::Tensor& logits, const at::Tensor& labels, bool slopes);

}  // namespace holdfast::fused
