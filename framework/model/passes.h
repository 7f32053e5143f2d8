// How much went through the decoders of this process, for the account of a stage.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace holdfast {

/// Tokens times the share of the blocks that they went through: forwards of all models, and those of them from whose last block
/// a gradient came back. Only grows.
struct Passes {
  double forward_tokens = 0;
  double backward_tokens = 0;
};
Passes passes_so_far();

/// Counts a forward of `tokens` through `share` of the blocks, of which `state` is the last one's output, and its backward pass
/// when there is one.
void count_pass(const at::Tensor& state, std::int64_t tokens, double share);

}  // namespace holdfast
