// The gated unit of the feed-forward in one pass forward and one backward.
#pragma once

#include <ATen/core/Tensor.h>

namespace holdfast::fused {

/// silu(gate) * up, of one shape, float32 on the CPU. Keeps nothing but its inputs for the backward pass.
at::Tensor gated_unit(const at::Tensor& gate, const at::Tensor& up);

}  // namespace holdfast::fused
