// Optimizer batches put together and compared.
#pragma once

#include <holdfast/trainer.h>

namespace HOLDFAST_PUBLIC holdfast {

/// One optimizer batch of two: its loss is the mean over the label tokens of both.
Batches pooled(Batches first, Batches second);

/// Of each token of two batches, (N) bool each, whether the other's row has another one in its place.
struct DifferingTokens {
  at::Tensor in_a, in_b;
};

/// Of two batches of paired rows. What one row has beyond the other's end differs. RepNoise (arXiv 2405.14577), SEAM
/// (2505.12186).
DifferingTokens differing_tokens(const Batch& a, const Batch& b);

}  // namespace holdfast
