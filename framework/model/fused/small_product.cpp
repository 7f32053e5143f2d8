#include "model/fused/small_product.h"

#include <algorithm>

#include "model/fused/lanes.h"

namespace holdfast::fused {
namespace {

constexpr std::int64_t kRowsInRegisters = 6;  // with one column of lanes each: what 16 registers hold beside b and a

struct Panel {
  std::int64_t inner, columns;  // columns: at most kLanes
  const float* b;
  std::int64_t b_to_row;
};

template <std::int64_t rows>
HOLDFAST_INLINE void multiply_panel(const Panel& by, const float* a, std::int64_t a_to_row, std::int64_t a_to_column, float* c,
                                    std::int64_t c_to_row, bool add) {
  Lanes sums[rows], b;
  for (std::int64_t r = 0; r < rows; ++r) {
    sums[r] = Lanes{};
    if (add) load(sums[r], c + r * c_to_row, by.columns);
  }
  if (by.columns == kLanes) {
    for (std::int64_t k = 0; k < by.inner; ++k) {
      load(b, by.b + k * by.b_to_row);
      for (std::int64_t r = 0; r < rows; ++r) sums[r] += b * a[r * a_to_row + k * a_to_column];
    }
  } else {
    for (std::int64_t k = 0; k < by.inner; ++k) {
      load(b, by.b + k * by.b_to_row, by.columns);
      for (std::int64_t r = 0; r < rows; ++r) sums[r] += b * a[r * a_to_row + k * a_to_column];
    }
  }
  for (std::int64_t r = 0; r < rows; ++r) store(c + r * c_to_row, sums[r], by.columns);
}

}  // namespace

HOLDFAST_WIDE void multiply(std::int64_t rows, std::int64_t columns, std::int64_t inner, const Matrix& a, const float* b,
                            std::int64_t b_to_row, float* c, std::int64_t c_to_row, bool add) {
  for (std::int64_t column = 0; column < columns; column += kLanes) {
    const Panel panel{inner, std::min(kLanes, columns - column), b + column, b_to_row};
    std::int64_t row = 0;
    for (; row + kRowsInRegisters <= rows; row += kRowsInRegisters) {
      multiply_panel<kRowsInRegisters>(panel, a.values + row * a.to_row, a.to_row, a.to_column, c + row * c_to_row + column,
                                       c_to_row, add);
    }
    for (; row < rows; ++row) {
      multiply_panel<1>(panel, a.values + row * a.to_row, a.to_row, a.to_column, c + row * c_to_row + column, c_to_row, add);
    }
  }
}

}  // namespace holdfast::fused
