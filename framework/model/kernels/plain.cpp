// kernels.h for any processor: vectors of 4 floats, blocks of 4 rows and 8 columns.
#include <cstdint>

namespace holdfast {
namespace {

constexpr int kLanes = 4, kRows = 4, kMixed = 2, kVectors = 2;

}  // namespace
}  // namespace holdfast

#include "model/kernels/loops.h"

namespace holdfast {

const Kernels kPlainKernels = {"plain", multiply, multiply_strips, pack_strips, pack_rows, pack_columns, widen, attend};

}  // namespace holdfast
