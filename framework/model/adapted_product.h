// A frozen weight's product and low-rank updates of it, on the CPU in float32, with one gradient for both.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "model/adapters.h"

namespace holdfast {

/// Consecutive rows and the factors that they go through; null: none.
struct AdaptedRows {
  std::int64_t rows;
  const LoraFactors* factors;
};

/// Whether adapted_product takes them: float32 on the CPU, and a weight that needs no gradient.
bool has_adapted_product(const at::Tensor& x, const at::Tensor& weight, const std::vector<AdaptedRows>& adapted);

/// x W^T + scale * x A^T B^T of x (rows, in), W (out, in) and each row's factors: (rows, out), with graph to x and the factors.
/// The updates are added in place, forward and back, and a row's bits do not depend on which others are there
/// (model/product.h); the gradients of factors are sums over their own rows. Counted (model/flops.h).
at::Tensor adapted_product(const at::Tensor& x, const at::Tensor& weight, const std::vector<AdaptedRows>& adapted);

}  // namespace holdfast
