// Floating-point operations of the decoders' products, counted from shapes where they are made (docs/cost.md).
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>

namespace holdfast {

class PackedProduct;

/// Of all models of this process. Only grows, modulo 2^64: differences count.
std::uint64_t flops_so_far();

/// at::linear of x (rows, in) and a weight (out, in); row_product where that takes them.
/// Counts 2 * rows * in * out, and as much for each of the gradients of x and of the weight that a backward pass really
/// computes.
at::Tensor counted_linear(const at::Tensor& x, const at::Tensor& weight, const std::optional<at::Tensor>& bias = std::nullopt);
/// The same of several weights that were packed together (model/product.h), without graph.
at::Tensor counted_linears(const at::Tensor& x, const PackedProduct& weights);
/// y + scale * a b^T of y (rows, out), a (rows, k) and b (out, k), in one pass over y, which is what GPUs wait for;
/// counted in the same way.
at::Tensor counted_addition(const at::Tensor& y, const at::Tensor& a, const at::Tensor& b, double scale);
/// The same of at::mm, a (n, k) and b (k, m).
at::Tensor counted_product(const at::Tensor& a, const at::Tensor& b);

/// Counts what was made by products that are not seen here: now, and again whenever a gradient comes back to it.
void count_flops(const at::Tensor& made, std::int64_t forward, std::int64_t backward);

}  // namespace holdfast
