#include "learn/together.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/autograd.h>

namespace holdfast {
namespace {

// A micro-batch of one of the shares.
struct Turn {
  std::size_t share;
  const Batch* batch;
};

std::int64_t tokens_of(const Batch& batch) { return batch.ids.size(0); }

// One forward and backward of all turns.
void pass(const std::vector<JointShare>& shares, const std::vector<Turn>& turns, std::vector<double>& losses) {
  if (turns.empty()) return;
  std::vector<LanguageModel::Predicted> predicted;
  for (const auto& turn : turns) predicted.push_back({shares[turn.share].model, turn.batch});
  const auto states = LanguageModel::predicting_states(predicted);
  Tensors values;
  for (std::size_t i = 0; i < turns.size(); ++i) {
    values.push_back(shares[turns[i].share].trainer->loss_of(states[i], *turns[i].batch));
  }
  torch::autograd::backward(values, {});
  for (std::size_t i = 0; i < turns.size(); ++i) losses[turns[i].share] += values[i].item<double>();
}

}  // namespace

std::vector<double> joint_gradients(const std::vector<JointShare>& shares) {
  std::vector<double> losses(shares.size());
  bool more = true;
  for (std::size_t micro = 0; more; ++micro) {
    more = false;
    std::vector<Turn> turns;
    std::int64_t tokens = 0;
    for (std::size_t s = 0; s < shares.size(); ++s) {
      if (micro >= shares[s].batches.size()) continue;
      more = true;
      const Batch& batch = shares[s].batches[micro];
      if (!turns.empty() && tokens + tokens_of(batch) > kJointTokens) {
        pass(shares, turns, losses);
        turns.clear();
        tokens = 0;
      }
      turns.push_back({s, &batch});
      tokens += tokens_of(batch);
    }
    pass(shares, turns, losses);
  }
  return losses;
}

}  // namespace holdfast
