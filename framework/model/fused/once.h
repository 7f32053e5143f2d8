// What all own derivatives have in common.
#pragma once

#include <ATen/core/Tensor.h>

namespace holdfast::fused {

/// Whether an own loop takes the place of libtorch's operations: float32 on the CPU.
inline bool serves(const at::Tensor& x) { return x.is_cpu() && x.scalar_type() == at::kFloat; }

/// To be called by each backward: its own derivative would be lost in silence. Throws Error.
void refuse_second_derivatives();

}  // namespace holdfast::fused
