// What is asked of all weights of a model at once, each in one pass by all threads where they are float32 on the CPU: what
// libtorch's operations take for it are several, each with a tensor of its own.
#pragma once

#include <ATen/core/Tensor.h>

namespace holdfast {

/// Whether there is neither an infinity nor a NaN.
bool all_finite(const at::Tensor& tensor);

/// after - before in float32, rounded to bfloat16, in the host's memory.
at::Tensor rounded_difference(const at::Tensor& before, const at::Tensor& after);

/// weight + difference in float32, rounded to the weight's dtype, in its place.
void add_difference(at::Tensor& weight, const at::Tensor& difference);

/// The squares of the Frobenius norms of `before` and of after - before (in float32), summed in float64; the same whatever the
/// number of threads.
struct SquareNorms {
  double before = 0, between = 0;
};
SquareNorms square_norms(const at::Tensor& before, const at::Tensor& after);

}  // namespace holdfast
