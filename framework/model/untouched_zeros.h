// Zeros that take memory only where something is written.
#pragma once

#include <ATen/core/Tensor.h>

namespace holdfast {

/// Zeros in the host's memory whose pages the system gives when they are written: for a tensor of which few rows will be. What
/// is only read costs none. Throws std::bad_alloc where the address space has no room for all of it.
at::Tensor untouched_zeros(at::IntArrayRef shape, at::ScalarType type);

}  // namespace holdfast
