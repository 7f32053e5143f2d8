// kernels.h for processors with AVX512: vectors of 16 floats, blocks of 8 rows and 48 columns.
#include <cstdint>

namespace holdfast {
namespace {

constexpr int kLanes = 16, kRows = 8, kMixed = 4, kVectors = 3;

}  // namespace
}  // namespace holdfast

#include "model/kernels/loops.h"

namespace holdfast {

const Kernels kAvx512Kernels = {"avx512", multiply, multiply_strips, pack_strips, pack_rows, pack_columns, widen, attend};

}  // namespace holdfast
