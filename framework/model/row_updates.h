// Low-rank updates of rows on the CPU in float32 without graph, by the kernels of model/kernels. The bits of a row do not
// depend on which other rows are there.
#pragma once

#include <vector>

#include "model/spans.h"

namespace holdfast {

/// Rows of x and the factors that they go through.
struct RowUpdate {
  const LoraFactors* factors;
  const std::vector<std::int64_t>* rows;  // null: all
};

/// Whether add_updates takes them: float32 on the CPU, and no graph is made.
bool has_row_updates(const at::Tensor& y, const at::Tensor& x);

/// Adds scale * x A^T B^T of each update's rows to those of y (N, out), in place; x (N, in).
void add_updates(at::Tensor& y, const at::Tensor& x, const std::vector<RowUpdate>& updates);

}  // namespace holdfast
