// Rotary positions put onto heads.
#pragma once

#include <ATen/core/Tensor.h>

namespace holdfast {

/// Rotates the two halves of each head: x (N, heads, D), cos and sin (N, 1, D / 2).
at::Tensor rotated(const at::Tensor& x, const at::Tensor& cos, const at::Tensor& sin);

}  // namespace holdfast
