// One training on its way, a step at a time.
#pragma once

#include <chrono>

#include "learn/base_trainer.h"
#include "learn/training.h"

namespace holdfast {

/// Whoever drives it calls, for each step, begin_step(), leaves the gradients of the step's batches, and calls end_step();
/// after the last one, finish().
class OneTraining {
 public:
  /// Encodes the rows, gives the model its adapters, and goes on from the checkpoint where there is one. The task must outlive
  /// it. Throws Error.
  explicit OneTraining(const TrainingTask& task);
  OneTraining(const OneTraining&) = delete;
  OneTraining& operator=(const OneTraining&) = delete;

  BaseTrainer& trainer() { return trainer_; }
  const LanguageModel& model() const { return *task_.model; }
  const std::vector<TrainedStep>& records() const { return records_; }
  std::int64_t total_steps() const { return trainer_.total_steps(); }
  bool is_done() const { return static_cast<std::int64_t>(records_.size()) >= total_steps(); }

  void begin_step();
  /// The gradients of the next step as the members of the stack make them; returns its loss.
  double own_gradients() { return stack_.step(trainer_); }
  /// The optimizer's update, the record, and a checkpoint when it is time for one.
  void end_step(double loss);
  /// Writes a checkpoint now, where one is kept.
  void keep();
  /// After the last step.
  void finish();

 private:
  using Clock = std::chrono::steady_clock;

  struct GradientsOff {  // however the training ends
    Decoder& decoder;
    ~GradientsOff() {
      decoder.checkpoint_activations(false);
      decoder.require_gradients(false);
    }
  };

  void check_weights() const;
  std::string identity();
  void resume();
  void keep_if_due();

  const TrainingTask& task_;
  const GradientsOff gradients_off_;
  BaseTrainer trainer_;
  TrainingStack stack_;
  std::vector<TrainedStep> records_;
  std::int64_t tokens_before_ = 0;  // the step under way
  std::string identity_;
  const Clock::duration pause_ =
      std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(task_.run.checkpoint.seconds));
  Clock::time_point next_checkpoint_ = Clock::now() + pause_;
};

}  // namespace holdfast
