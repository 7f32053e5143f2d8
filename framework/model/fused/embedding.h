// Rows of an embedding whose gradient takes memory for the rows that were looked up.
#pragma once

#include <ATen/core/Tensor.h>

namespace holdfast::fused {

/// Rows of weight (V, C), where serves(weight), for ids (N): (N, C). Its gradient is at::embedding's to the bit, without the
/// memory of the rows that no token has: where the weight is the head too, autograd adds it into the head's.
at::Tensor embedding(const at::Tensor& weight, const at::Tensor& ids);

}  // namespace holdfast::fused
