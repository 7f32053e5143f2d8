// Products of rows and a weight on the CPU in float32, by the kernels of model/kernels. The bits of a row do not depend on
// which other rows are there, nor on the number of threads; nor on whether a weight was packed before, or needs a gradient: a
// model in training and its frozen reference differ by nothing but their weights.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

namespace holdfast {

/// Whether row_product takes them: both float32 on the CPU, and the weight (out, in) without holes.
bool has_row_product(const at::Tensor& x, const at::Tensor& weight);

/// x (rows, in) times weight (out, in): (rows, out), with graph to both.
at::Tensor row_product(const at::Tensor& x, const at::Tensor& weight);

/// x (rows, out) times weight (out, in), without graph: (rows, in).
at::Tensor turned_row_product(const at::Tensor& x, const at::Tensor& weight);
/// The same of row_product and of turned_row_product, added to y in place, whose rows have no holes; without graph.
void add_row_product(at::Tensor& y, const at::Tensor& x, const at::Tensor& weight);
void add_turned_row_product(at::Tensor& y, const at::Tensor& x, const at::Tensor& weight);

/// a (rows, m), turned, times b (rows, n), without graph: (m, n), the sum over rows that the gradient of a weight is. Both
/// float32 on the CPU.
at::Tensor product_over_rows(const at::Tensor& a, const at::Tensor& b);
/// The same, added to y (m, n), whose rows have no holes.
void add_product_over_rows(at::Tensor& y, const at::Tensor& a, const at::Tensor& b);

/// Where a panel's columns go in a row of what is made.
struct Panel {
  std::int64_t place, columns;
};

/// Weights that read the same input, in the order in which the kernels read them. As they were when it was made.
class PackedProduct {
 public:
  /// Each (out, in), with has_row_product. Kept in half the memory, without loss, when every weight is exact in bfloat16.
  explicit PackedProduct(const std::vector<at::Tensor>& weights);

  /// (rows, in) -> (rows, sum of out), without graph: row_product of each weight, side by side.
  at::Tensor operator()(const at::Tensor& x) const;

  const std::vector<std::int64_t>& outs() const { return outs_; }
  std::int64_t in() const { return in_; }
  bool narrow() const { return narrow_; }

 private:
  std::vector<std::int64_t> outs_;
  std::int64_t in_ = 0, out_ = 0;
  bool narrow_ = true;
  std::vector<Panel> panels_;
  at::Tensor packed_;  // (panels, in, kPanel), float32 or, where narrow, its upper halves
};

}  // namespace holdfast
