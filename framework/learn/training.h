// The training loop.
#pragma once

#include <holdfast/trainer.h>

#include "base/json.h"
#include "learn/encoded_rows.h"
#include "learn/language_model.h"
#include "learn/training_checkpoint.h"

namespace holdfast {

/// Computes the gradients of one (micro-)batch and returns the loss to log: TrainingStage::step, or the plain loss.
using StepFunction = std::function<double(Trainer&, const Batch&)>;

double plain_step(Trainer& trainer, const Batch& batch);

struct TrainingRun {
  StepFunction step = plain_step;
  std::function<void(const StepRecord&)> on_step;   // after each optimizer step; first for the steps of a checkpoint
  std::function<void(const EncodedRows&)> on_rows;  // once, before the first step
  std::uint64_t order_seed = 0;                     // shuffling
  std::uint64_t init_seed = 0;                      // LoRA's A factors
  TrainingCheckpoint checkpoint;                    // for steps that keep nothing between two calls
};

/// Trains in place: AdamW (betas 0.9 and 0.999, eps 1e-8, decoupled decay), global-norm clipping, the schedule of the options.
/// With method "lora" fresh adapters are added (existing ones are merged first) and stay on the model. Rows that are cut
/// and rows that teach nothing are counted in warnings, each with its reason; the latter are left out, and when none remains
/// that is an Error, as are a row that the chat template refuses, float16 weights, and a loss, gradient or weight that is not
/// finite. Returns every step's record. A training that was stopped and finds its checkpoint ends in the same bits as one that
/// was not.
std::vector<StepRecord> train(LanguageModel& model, const Dataset& data, const TrainingOptions& options,
                              const TrainingRun& run);

/// Why weights of that dtype ("float16", ...) cannot be trained, as a sentence; empty where they can.
std::string why_untrainable(const std::string& dtype);

}  // namespace holdfast
