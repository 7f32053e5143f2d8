// The training loop's face towards a defense: options, and what one optimizer step is made of.
#pragma once

#include <holdfast/model.h>

#include <functional>
#include <memory>

namespace HOLDFAST_PUBLIC holdfast {

/// A training's settings, as [align] and [finetune] of a scenario have them (docs/scenario.md).
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
  std::vector<std::string> lora_targets;     // empty: every linear of every block
  bool activation_checkpoints = false;       // blocks keep their input only and run again in the backward pass
  std::string optimizer_states = "float32";  // "float32", "8bit", "host"
};

/// One optimizer step's progress, as logged.
struct StepRecord {
  std::int64_t step = 0;  // from 1
  double loss = 0;
  double lr = 0;
  std::int64_t tokens = 0;  // tokens that went through the model in this step
};

/// One optimizer batch as its micro-batches. Each one's normalizer is that of the whole, so that sums over them are means over
/// it.
using Batches = std::vector<Batch>;
/// A tensor a parameter, in the order of Trainer::parameters().
using Tensors = std::vector<at::Tensor>;
/// A scalar with graph; the losses of an optimizer batch's micro-batches add up to that of the batch.
using Loss = std::function<at::Tensor(const Batch&)>;

/// Over all elements of all tensors, summed in float64.
double dot(const Tensors& a, const Tensors& b);
/// The root of dot() with itself.
double norm(const Tensors& tensors);

/// How the rows of a further stream are drawn.
struct StreamOptions {
  std::int64_t batch_size = 0;  // rows of an optimizer batch; 0: as the training's
  bool shuffle = true;          // each epoch anew; else as the dataset stands
  std::string order = {};  // streams of equal size and the same order name draw the same row numbers (paired rows); its own
                           // name where empty. Paired rows must each have something to learn: an Error else
};

/// Rows without end, epoch after epoch, a function of the training's seed and the position: a training that goes on draws what
/// it would have drawn.
class Stream {
 public:
  virtual ~Stream();
  /// The next optimizer batch, in micro-batches of the training's micro_batch_size.
  virtual Batches next() = 0;
  virtual std::int64_t position() const = 0;   // batches taken so far
  virtual std::int64_t per_epoch() const = 0;  // batches of one pass over the rows
};

/// The trained weights in full precision, as they were; with the optimizer's moments, in the form that it keeps them in, where
/// those were asked for. Tensors of its own: 4 bytes a trained weight (8 in float64), three times that with float32 moments.
struct Snapshot {
  Tensors weights;
  Tensors moments = {};
};

/// AdamW of an inner loop (TAR, arXiv 2408.00761): moments of its own over the same weights.
class Optimizer {
 public:
  virtual ~Optimizer();
  /// One update from these gradients. Moves the weights in full precision.
  virtual void step(const Tensors& gradients, double lr) = 0;
};

/// What a stage keeps between two steps, on its way into a checkpoint or back. One function serves both ways.
class Archive {
 public:
  virtual ~Archive();
  virtual void operator()(const std::string& name, at::Tensor& value) = 0;  // may be undefined
  void operator()(const std::string& name, double& value);
  void operator()(const std::string& name, std::int64_t& value);
  void operator()(const std::string& name, bool& value);
  void operator()(const std::string& name, Tensors& value);
  void operator()(const std::string& name, Snapshot& value);
};

class Context;

/// What TrainingStage::step works with. The loop, schedule, clipping, the optimizer and logging are the trainer's; a step pulls
/// its batches and leaves gradients.
class Trainer {
 public:
  virtual ~Trainer();

  virtual Model& model() = 0;
  virtual Context& context() = 0;
  /// The model as this training began, which stays as it is (KL anchors, LDIFS, constrained fine-tuning). Loaded or copied when
  /// it is first asked for, which must be in begin().
  virtual const Model& reference() = 0;
  virtual std::int64_t step() const = 0;  // from 0
  virtual std::int64_t total_steps() const = 0;
  virtual const TrainingOptions& options() const = 0;

  /// The trained tensors; their grad() is what the optimizer will use. Names as Model::trainable().
  virtual const Tensors& parameters() const = 0;
  virtual const std::vector<std::string>& names() const = 0;
  /// Their values in full precision: float32 masters where parameters are kept in 16 bits, else the parameters themselves. To
  /// be read; they move by the optimizer, move() and restore(). Masters lie in the host's memory with optimizer_states "host".
  virtual const Tensors& weights() const = 0;
  /// From here on only parameters of which this is true are trained; the others have no gradients, which no pass computes.
  virtual void train_only(const std::function<bool(const std::string& name)>& which) = 0;

  /// The stage's own rows. A step that pulls none of them leaves them where they are.
  virtual Stream& rows() = 0;
  /// Further rows under a name of the stage's own; made in begin(). Encodes them once. Throws Error when nothing in them can be
  /// learned.
  virtual Stream& stream(const std::string& name, const Dataset& data, const StreamOptions& options = {}) = 0;

  /// Mean cross-entropy over the label tokens, each times its target weight: the sum over this batch divided by
  /// batch.normalizer. Inside a stack, the loss that the member outside asks for.
  virtual at::Tensor loss(const Batch& batch) = 0;
  /// Adds the gradient of the batches' loss (loss() where none is given) to the parameters' and returns its value. Goes through
  /// the members of the stack that stand inside this one. One forward and backward a micro-batch.
  virtual double backward(const Batches& batches, const Loss& loss = {}) = 0;
  /// Adds d loss / d parameters, by no member's way but this one's. Parameters that the loss does not reach stay as they are.
  virtual void backward(const at::Tensor& loss) = 0;
  /// The gradient of the batches' loss (plain where none is given) as a list, zeros where the loss does not reach; float32 for
  /// 16-bit parameters. Leaves every grad() alone. One forward and backward a micro-batch, and one copy of the gradients.
  virtual Tensors gradients(const Batches& batches, const Loss& loss = {}) = 0;
  /// d loss / d tensors, zeros where the loss does not reach; leaves every parameter's gradient alone, and is cheaper than
  /// backward where only activations matter. keep_graph: the loss may be used once more.
  virtual Tensors gradients(const at::Tensor& loss, const Tensors& of, bool keep_graph = false) = 0;
  /// Adds scale times the list to the parameters' gradients.
  virtual void add_gradient(const Tensors& gradient, double scale) = 0;

  /// Copies of the weights, and of the optimizer's moments where asked for.
  virtual Snapshot snapshot(bool with_moments = false) const = 0;
  /// Puts them back, to the bit, in 16 bits too.
  virtual void restore(const Snapshot& snapshot) = 0;
  /// Adds distance times the direction to the weights, in full precision. In 16 bits the forward sees the rounded sums.
  virtual void move(const Tensors& direction, double distance) = 0;
  virtual std::unique_ptr<Optimizer> optimizer(double weight_decay) = 0;
};

}  // namespace holdfast
