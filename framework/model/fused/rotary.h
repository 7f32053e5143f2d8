// Rotary positions in one pass.
#pragma once

#include <ATen/core/Tensor.h>

namespace holdfast::fused {

/// Rotates the two halves of each head: x (N, heads, D), cos and sin (N, 1, D / 2), all float32 on the CPU. Its derivative
/// turns back.
at::Tensor rotate(const at::Tensor& x, const at::Tensor& cos, const at::Tensor& sin);

}  // namespace holdfast::fused
