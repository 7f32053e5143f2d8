// RMSNorm in one pass forward and one backward.
#pragma once

#include <ATen/core/Tensor.h>

namespace holdfast::fused {

/// x / sqrt(mean(x^2) + eps) * (weight + offset) over the last dimension, as x is shaped; where serves(x). weight (C).
at::Tensor rms_norm(const at::Tensor& x, const at::Tensor& weight, double eps, double offset);

}  // namespace holdfast::fused
