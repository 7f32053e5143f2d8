// The gated unit of the feed-forward in one pass forward and one backward.
#pragma once

#include <ATen/core/Tensor.h>

namespace holdfast::fused {

/// silu(gate) * up, or the tanh GELU of the gate, of one shape (rows, width), float32 on the CPU. Keeps nothing but its inputs
/// for the backward pass. What becomes of a number does not depend on where it stands.
at::Tensor gated_unit(const at::Tensor& gate, const at::Tensor& up, bool gelu = false);

}  // namespace holdfast::fused
