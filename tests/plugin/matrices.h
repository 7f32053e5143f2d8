// Matrices as rows of numbers, for rules that are written down as loops.
#pragma once

#include <ATen/ATen.h>

#include <vector>

namespace holdfast::fixtures {

using Matrix = std::vector<std::vector<double>>;

inline Matrix matrix_of(const at::Tensor& tensor) {
  const at::Tensor values = tensor.to(at::kDouble).contiguous();
  const auto at = values.accessor<double, 2>();
  Matrix rows(static_cast<std::size_t>(values.size(0)), std::vector<double>(static_cast<std::size_t>(values.size(1))));
  for (std::size_t i = 0; i < rows.size(); ++i) {
    for (std::size_t j = 0; j < rows[i].size(); ++j)
      rows[i][j] = at[static_cast<std::int64_t>(i)][static_cast<std::int64_t>(j)];
  }
  return rows;
}

inline at::Tensor tensor_of(const Matrix& rows) {
  at::Tensor made = at::zeros({static_cast<std::int64_t>(rows.size()), static_cast<std::int64_t>(rows[0].size())}, at::kDouble);
  auto at = made.accessor<double, 2>();
  for (std::size_t i = 0; i < rows.size(); ++i) {
    for (std::size_t j = 0; j < rows[i].size(); ++j)
      at[static_cast<std::int64_t>(i)][static_cast<std::int64_t>(j)] = rows[i][j];
  }
  return made;
}

}  // namespace holdfast::fixtures
