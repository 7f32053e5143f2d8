// What a member of a stack hands to the one inside it.
#pragma once

#include "learn/checkpoint_fixtures.h"
#include "learn/training.h"

namespace holdfast::fixtures {

/// The examples of an optimizer batch, with their labels.
inline std::vector<Encoded> examples_of(const Batches& batches) {
  std::vector<Encoded> examples;
  for (const auto& batch : batches) {
    std::vector<Encoded> own;
    std::vector<bool> labels(static_cast<std::size_t>(batch.ids.numel()));
    for (const auto row : ids_of(batch.target_rows)) labels[static_cast<std::size_t>(row) + 1] = true;
    const auto ids = ids_of(batch.ids);
    std::ptrdiff_t first = 0;
    for (const auto length : batch.lengths) {
      examples.push_back(
          {{ids.begin() + first, ids.begin() + first + length}, {labels.begin() + first, labels.begin() + first + length}});
      first += length;
    }
  }
  return examples;
}

/// Plain, and notes what each step is handed.
class Handed final : public TrainingStage {
 public:
  double step(Trainer& trainer) override {
    const Batches batches = trainer.rows().next();
    steps.push_back(examples_of(batches));
    return trainer.backward(batches);
  }

  std::vector<std::vector<Encoded>> steps;
};

}  // namespace holdfast::fixtures
