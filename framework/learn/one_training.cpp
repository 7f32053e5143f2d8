#include "learn/one_training.h"

#include <ATen/ATen.h>
#include <holdfast/error.h>
#include <holdfast/log.h>

#include <algorithm>
#include <cmath>
#include <numbers>

#include "base/digest.h"
#include "learn/device.h"
#include "learn/training_options.h"
#include "learn/weight_passes.h"

namespace holdfast {
namespace {

// What does not teach, and why, is said.
EncodedRows rows_to_learn(const TrainingTask& task) {
  const std::int64_t max_length = task.options.max_length;
  EncodedRows encoded = encode_rows(*task.model, *task.data, max_length);
  check_teaches(encoded, max_length);
  for (const auto& remark : remarks(encoded, max_length)) log_warning(remark);
  if (task.run.on_rows) task.run.on_rows(encoded);
  return encoded;
}

// A member's step meets gradients with masters, which must then be on one device.
void refuse_masters_on_host(const TrainingTask& task) {
  const Decoder& decoder = std::as_const(*task.model).decoder();
  const bool apart = task.options.optimizer_states == "host" && !decoder.device().is_cpu() && decoder.dtype() != at::kFloat;
  if (!apart || task.run.members.empty()) return;
  throw Error("optimizer_states = \"host\" keeps the float32 masters of " + dtype_name(decoder.dtype()) +
              " weights in the host's memory, where the training step of \"" + task.run.members.front().name +
              "\" cannot use them beside its gradients: take \"float32\" or \"8bit\" there");
}

// The rows; the model is ready to be trained then.
EncodedRows prepared(const TrainingTask& task) {
  const TrainingOptions& options = task.options;
  check_options(training_options(), options, "training");
  Decoder& decoder = task.model->decoder();
  if (const auto why = why_untrainable(dtype_name(decoder.dtype())); !why.empty()) throw Error(why);
  refuse_masters_on_host(task);
  EncodedRows rows = rows_to_learn(task);
  decoder.merge_adapters();
  if (options.method == "lora") {
    decoder.add_adapters({options.lora_rank, options.lora_alpha, options.lora_targets}, task.run.init_seed);
  }
  decoder.require_gradients(true);
  decoder.checkpoint_activations(options.activation_checkpoints);
  return rows;
}

// A step from such a gradient would leave weights that are no numbers, and after the last one nobody would look at a loss
// again.
void refuse_unless_finite(double value, const std::string& what, std::int64_t step) {
  if (std::isfinite(value)) return;
  throw Error("training diverged: the " + what + " of step " + std::to_string(step) + " is not finite; lower lr");
}

double rate_at(const TrainingOptions& o, std::int64_t step, std::int64_t total, std::int64_t per_epoch) {
  if (step < o.warmup_steps) return o.lr * static_cast<double>(step + 1) / static_cast<double>(o.warmup_steps);
  const double done =
      static_cast<double>(step - o.warmup_steps) / static_cast<double>(std::max<std::int64_t>(1, total - o.warmup_steps));
  if (o.schedule == "linear") return o.lr * (1 - done);
  if (o.schedule == "cosine") return o.lr * 0.5 * (1 + std::cos(std::numbers::pi * done));
  if (o.schedule == "step") return o.lr * std::pow(o.step_gamma, static_cast<double>(step / per_epoch));
  return o.lr;
}

}  // namespace

OneTraining::OneTraining(const TrainingTask& task)
    : task_(task),
      gradients_off_{task.model->decoder()},
      trainer_(*task.model, task_.options, task_.run, prepared(task)),
      stack_(task.run.members) {
  stack_.begin(trainer_);
  trainer_.end_of_begin();
  resume();
}

void OneTraining::begin_step() {
  trainer_.set_step(static_cast<std::int64_t>(records_.size()));
  tokens_before_ = trainer_.tokens();
}

void OneTraining::end_step(double loss) {
  const auto number = static_cast<std::int64_t>(records_.size());
  TrainedStep record;
  record.step = number + 1;
  record.lr = rate_at(task_.options, number, total_steps(), trainer_.rows().per_epoch());
  record.loss = loss;
  record.tokens = trainer_.tokens() - tokens_before_;
  const auto gradients = gradients_of(trainer_.parameters());
  if (std::none_of(gradients.begin(), gradients.end(), [](const at::Tensor& each) { return each.defined(); })) {
    throw Error("step " + std::to_string(record.step) +
                " left no gradient, so that nothing would be trained: a step calls backward");
  }
  refuse_unless_finite(record.loss, "loss", record.step);
  record.gradient_norm = clip_gradients(trainer_.parameters(), task_.options.clip_norm);
  refuse_unless_finite(record.gradient_norm, "gradient", record.step);
  trainer_.adam().step(gradients_of(trainer_.parameters()), record.lr);
  trainer_.clear_gradients();
  records_.push_back(record);
  if (task_.run.on_step) task_.run.on_step(record);
  keep_if_due();
}

void OneTraining::finish() {
  stack_.finish(trainer_);
  check_weights();
}

// Before the last step the loss of the next one tells; after it nothing else does.
void OneTraining::check_weights() const {
  for (const auto& parameter : trainer_.parameters()) {
    if (all_finite(parameter)) continue;
    throw Error("training diverged: after step " + std::to_string(records_.size()) + " a weight is not finite; lower lr");
  }
}

// All that the outcome is a function of; the order of rows follows from seed and position.
std::string OneTraining::identity() {
  if (!identity_.empty()) return identity_;
  return identity_ = sha256(canonical({{"format", 4},
                                       {"members", stack_.names()},
                                       {"start", task_.run.checkpoint.start()},
                                       {"rows", trainer_.rows().digest()},
                                       {"options", to_json(task_.options)},
                                       {"seeds", {task_.run.order_seed, task_.run.init_seed}}}));
}

// Takes the records of the steps that a checkpoint holds; all that the next one depends on is then where those steps left it.
void OneTraining::resume() {
  const fs::path& file = task_.run.checkpoint.file;
  if (file.empty()) return;
  auto progress = read_training_checkpoint(file, fs::exists(file) ? identity() : "");
  if (!progress) return;
  const auto start = trainer_.positions();
  if (!trainer_.seek(progress->positions) || !trainer_.adam().restore(progress->optimizer)) {
    trainer_.seek(start);
    log_warning("the training checkpoint " + file.string() +
                " holds other tensors or streams than it says: training begins anew");
    return;
  }
  for (auto& [name, tensor] : progress->kept) {
    if (!tensor.device().is_cpu()) tensor = tensor.to(trainer_.model().device());  // which may have another number today
  }
  stack_.read(progress->kept);
  records_ = std::move(progress->records);
  log_info("training goes on after step " + std::to_string(records_.size()) + " of " + std::to_string(total_steps()));
  if (task_.run.on_step) std::for_each(records_.begin(), records_.end(), task_.run.on_step);
}

void OneTraining::keep_if_due() {
  const auto start = Clock::now();
  if (start < next_checkpoint_) return;
  keep();
  const auto now = Clock::now();
  if (pause_ > Clock::duration::zero()) next_checkpoint_ = now + std::max<Clock::duration>(pause_, 10 * (now - start));
}

void OneTraining::keep() {
  const TrainingCheckpoint& checkpoint = task_.run.checkpoint;
  if (checkpoint.file.empty() || records_.empty()) return;
  TrainingProgress progress{records_, trainer_.adam().state(), trainer_.positions(), {}};
  if (!stack_.write(progress.kept)) return;  // nor will it be later
  write_training_checkpoint(checkpoint.file, identity(), progress);
}

}  // namespace holdfast
