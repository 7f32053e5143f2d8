// The gradients of several trainings on one base in joint passes.
#pragma once

#include "learn/base_trainer.h"

namespace holdfast {

/// What one training brings to a joint step.
struct JointShare {
  const LanguageModel* model;
  BaseTrainer* trainer;
  Batches batches;
};

/// Adds the gradients of each share's plain loss to its own parameters, as BaseTrainer::backward does, and returns the losses.
/// A pass takes as many shares as make kJointTokens tokens, but at least one: more would cost memory and be no faster.
std::vector<double> joint_gradients(const std::vector<JointShare>& shares);

inline constexpr std::int64_t kJointTokens = 8192;

}  // namespace holdfast
