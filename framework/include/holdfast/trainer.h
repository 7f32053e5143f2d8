// The training loop's face towards a defense: options, and the primitives of one step.
#pragma once

#include <holdfast/model.h>

#include <functional>

namespace HOLDFAST_PUBLIC holdfast {

struct TrainingOptions {
  std::string method = "full";  // "full" or "lora"
  double lr = 2e-5;
  std::int64_t epochs = 1;
  std::int64_t batch_size = 8;
  std::int64_t micro_batch_size = 0;  // examples a forward; 0: the whole batch
  std::int64_t max_length = 1024;     // tokens; longer examples are cut
  std::string schedule = "constant";  // "constant", "linear", "cosine", "step" (x step_gamma after each epoch)
  double step_gamma = 0.85;
  std::int64_t warmup_steps = 0;
  double weight_decay = 0;
  double clip_norm = 1;  // 0: no clipping
  bool shuffle = true;
  std::int64_t lora_rank = 16;
  double lora_alpha = 32;
  std::vector<std::string> lora_targets;  // empty: every linear of every block
};

/// One optimizer step's progress, as logged.
struct StepRecord {
  std::int64_t step = 0;  // from 1
  double loss = 0;
  double lr = 0;
  std::int64_t tokens = 0;  // tokens that went through the model in this step
};

/// Given to TrainingStage::step. The loop, schedule, clipping, accumulation and logging are the trainer's.
class Trainer {
 public:
  virtual ~Trainer();

  virtual Model& model() = 0;
  virtual std::int64_t step() const = 0;  // from 0
  virtual std::int64_t total_steps() const = 0;
  virtual const TrainingOptions& options() const = 0;

  /// Mean cross-entropy over the label tokens: the sum over this batch divided by batch.normalizer. A scalar with graph.
  virtual at::Tensor loss(const Batch& batch) = 0;
  /// Adds d loss / d parameters to the parameters' gradients.
  virtual void backward(const at::Tensor& loss) = 0;
  /// d loss / d tensors, leaving every parameter's gradient alone; cheaper than backward where only activations matter.
  virtual std::vector<at::Tensor> gradients(const at::Tensor& loss, const std::vector<at::Tensor>& tensors) = 0;
  /// The trainable tensors, in checkpoint order; their grad() is what the optimizer will use.
  virtual const std::vector<at::Tensor>& parameters() const = 0;
};

}  // namespace holdfast
