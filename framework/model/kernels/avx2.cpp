// kernels.h for processors with AVX2: vectors of 8 floats, blocks of 6 rows and 16 columns.
#include <cstdint>

namespace holdfast {
namespace {

constexpr int kLanes = 8, kRows = 6, kMixed = 4, kVectors = 2;

}  // namespace
}  // namespace holdfast

#include "model/kernels/loops.h"

namespace holdfast {

const Kernels kAvx2Kernels = {"avx2", multiply, multiply_strips, pack_strips, pack_rows, pack_columns, widen, attend};

}  // namespace holdfast
