// The divergence of the trained model from a reference as a term of a loss: where it counts, and what it is a mean of.
#pragma once

#include <holdfast/params.h>
#include <holdfast/trainer.h>

namespace HOLDFAST_PUBLIC holdfast {

/// The settings "positions" and "reduction" of a method that holds a model near a reference (KL anchor, arXiv 2602.17546,
/// SafeGrad), and what they mean. positions: "answer", where a label token is predicted, or "all", every token of every
/// example. reduction: "token-mean", over those positions of the whole optimizer batch, or "batch-sum", their sum divided by
/// its examples.
class Divergence {
 public:
  /// What counts where the scenario says nothing.
  Divergence(Params& params, const std::string& positions, const std::string& reduction);

  /// The batch with those positions in target_rows and target_example, as Model::kl takes it. Where they are all positions it
  /// has no target ids, places or weights. Costs nothing.
  Batch covered(const Batch& batch) const;
  /// What the sum over all micro-batches is to be divided by.
  double divisor(const Batches& batches) const;

 private:
  bool everywhere_, token_mean_;
};

}  // namespace holdfast
