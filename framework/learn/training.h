// The training loop.
#pragma once

#include <holdfast/trainer.h>

#include <exception>

#include "base/json.h"
#include "learn/encoded_rows.h"
#include "learn/language_model.h"
#include "learn/training_checkpoint.h"
#include "learn/training_stack.h"

namespace holdfast {

/// A training stage that is its step alone and keeps nothing between two of them.
class StepStage final : public TrainingStage {
 public:
  explicit StepStage(std::function<double(Trainer&)> step) : step_(std::move(step)) {}
  double step(Trainer& trainer) override { return step_(trainer); }
  bool archive(Archive&) override { return true; }

 private:
  std::function<double(Trainer&)> step_;
};

struct TrainingRun {
  std::vector<TrainingMember> members;  // in the order of their stack; none: the plain loss
  Context* context = nullptr;           // what members may ask for it
  std::function<std::shared_ptr<const LanguageModel>()>
      reference;                                    // the weights as they are at the start; none: a copy is made
  std::function<void(const TrainedStep&)> on_step;  // after each optimizer step; first for the steps of a checkpoint
  std::function<void(const EncodedRows&)> on_rows;  // once, before the first step
  std::uint64_t order_seed = 0;                     // shuffling
  std::uint64_t init_seed = 0;                      // LoRA's A factors
  TrainingCheckpoint checkpoint;
};

/// Trains in place: AdamW (betas 0.9 and 0.999, eps 1e-8, decoupled decay), global-norm clipping, the schedule of the options.
/// With method "lora" fresh adapters are added (existing ones are merged first) and stay on the model. Rows that are cut
/// and rows that teach nothing are counted in warnings, each with its reason; the latter are left out, and when none remains
/// that is an Error, as are a row that the chat template refuses, float16 weights, and a loss, gradient or weight that is not
/// finite, and a step that leaves no gradient. Returns every step's record. A training that was stopped and finds its
/// checkpoint ends in the same bits as one that was not; one of whose members keeps what it cannot archive keeps none.
std::vector<TrainedStep> train(LanguageModel& model, const Dataset& data, const TrainingOptions& options,
                               const TrainingRun& run);

/// One of several trainings in one loop.
struct TrainingTask {
  LanguageModel* model = nullptr;
  const Dataset* data = nullptr;
  TrainingOptions options;
  TrainingRun run;
};

struct TrainingEnd {
  std::vector<TrainedStep> steps;  // all that were made
  std::exception_ptr error;        // the Error that ended it before its last step, or null
};

/// Trains several models as train() trains one, each with its own rows, seeds, options, optimizer, records and checkpoint.
/// Where there are several they are plain and "lora" (a check), on the weights of one model (LanguageModel::share), and make
/// their steps together: the frozen products are computed once for the rows of all, everything else as if each were alone, so
/// that each ends as train() would, on a CPU in float32 in the same bits. One that made its last step leaves, and so does one
/// that fails, alone: its Error stands in its end. What is no Error is thrown, and ends all.
std::vector<TrainingEnd> train_together(const std::vector<TrainingTask>& tasks);

/// Why weights of that dtype ("float16", ...) cannot be trained, as a sentence; empty where they can.
std::string why_untrainable(const std::string& dtype);

}  // namespace holdfast
