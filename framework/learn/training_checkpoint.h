// What a long training needs to go on after it was stopped, in one safetensors file.
#pragma once

#include <ATen/core/Tensor.h>
#include <holdfast/trainer.h>

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/file.h"

namespace holdfast {

/// Where and how often a training keeps itself. Whoever starts a training removes the file once the outcome is safe elsewhere.
struct TrainingCheckpoint {
  fs::path file;         // empty: none is kept and none is looked for
  double seconds = 300;  // between two, and never less than ten times what writing one took; 0: after every step
  /// Names the weights that training starts from, and what its steps are a function of where they are not the plain ones. Asked
  /// only when a checkpoint is found or written.
  std::function<std::string()> start;
};

/// One optimizer step, as a training's curve has it.
struct TrainedStep : StepRecord {
  double gradient_norm = 0;  // before clipping
};

struct TrainingProgress {
  std::vector<TrainedStep> records;               // of all steps that were made
  std::map<std::string, at::Tensor> optimizer;    // AdamW::state()
  std::map<std::string, std::int64_t> positions;  // of the streams of rows
  std::map<std::string, at::Tensor> kept;         // by the stages (learn/training_archive.h)
};

/// Writes the file, whole or not at all. `identity` names all that the outcome depends on.
void write_training_checkpoint(const fs::path& file, const std::string& identity, const TrainingProgress& progress);

/// What the file holds, or nothing: without a word when there is none, with one logged sentence when it is damaged or belongs
/// to another training. Removes what writers that were killed left beside it.
std::optional<TrainingProgress> read_training_checkpoint(const fs::path& file, const std::string& identity);

}  // namespace holdfast
