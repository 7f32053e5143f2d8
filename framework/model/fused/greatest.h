// Where each row's greatest value is.
#pragma once

#include <ATen/core/Tensor.h>

namespace holdfast::fused {

/// The place of the greatest value of each row of x (rows, n), float32 on the CPU, n > 0: (rows) int64. The first of equals; as
/// at::argmax, which takes each value by itself, the first NaN where there is one.
at::Tensor greatest_places(const at::Tensor& x);

}  // namespace holdfast::fused
