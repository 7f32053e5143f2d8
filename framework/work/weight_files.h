// The weights of a worker that it shares with the other workers of its machine.
#pragma once

#include <cstdint>
#include <memory>

#include "learn/language_model.h"
#include "store/mapped_weights.h"
#include "store/weights_ref.h"

namespace holdfast {

/// Weights below this are not worth a file.
inline constexpr std::uint64_t kWorthAFile = 32ULL << 20;

/// Models on the CPU whose weights lie in files (store/mapped_weights.h), so that all workers hold them once: checkpoints, and
/// what pre-training and alignment left, which many stages start from. A float32 checkpoint of safetensors is mapped as it is.
class WeightFiles {
 public:
  /// `least`: bytes of weights from which a file is written; 0 for a worker that is alone, which writes and looks for none.
  WeightFiles(Store& store, std::uint64_t least) : files_(store), least_(least) {}

  /// The checkpoint of the weights, its adapters merged.
  std::shared_ptr<LanguageModel> checkpoint(const WeightsRef& weights);
  /// The weights themselves where their file is there, with all but the weights from `like`; else null.
  std::shared_ptr<LanguageModel> find(const WeightsRef& weights, const LanguageModel& like);
  /// `model`, which has those weights: in a file from here on where that is worth it, else as it is.
  std::shared_ptr<LanguageModel> settled(const WeightsRef& weights, std::shared_ptr<LanguageModel> model);

 private:
  bool shared(const WeightsRef& weights) const;

  MappedWeights files_;
  std::uint64_t least_;
};

}  // namespace holdfast
