// Products of matrices that are too small for a library's.
#pragma once

#include <cstdint>

namespace holdfast::fused {

/// Where element (row, column) of a matrix lies.
struct Matrix {
  const float* values;
  std::int64_t to_row, to_column;
};

/// c (rows, columns) = a (rows, inner) b (inner, columns), or c + a b; neighbours in a row of b and c are neighbours in memory.
/// Each element is summed in the order of `inner`, whatever stands beside it.
void multiply(std::int64_t rows, std::int64_t columns, std::int64_t inner, const Matrix& a, const float* b,
              std::int64_t b_to_row, float* c, std::int64_t c_to_row, bool add);

}  // namespace holdfast::fused
