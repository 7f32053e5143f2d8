#include "learn/training.h"

#include <ATen/ATen.h>
#include <holdfast/error.h>
#include <holdfast/log.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <numbers>

#include "base/digest.h"
#include "base/work_progress.h"
#include "learn/base_trainer.h"
#include "learn/device.h"
#include "learn/training_options.h"

namespace holdfast {
namespace {

// What does not teach, and why, is said.
EncodedRows rows_to_learn(const LanguageModel& model, const Dataset& data, std::int64_t max_length, const TrainingRun& run) {
  EncodedRows encoded = encode_rows(model, data, max_length);
  check_teaches(encoded, max_length);
  for (const auto& remark : remarks(encoded, max_length)) log_warning(remark);
  if (run.on_rows) run.on_rows(encoded);
  return encoded;
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

class Loop {
 public:
  Loop(LanguageModel& model, const TrainingOptions& options, const TrainingRun& run, EncodedRows rows)
      : options_(options), run_(run), trainer_(model, options, run, std::move(rows)), stack_(run.members) {}

  std::vector<TrainedStep> run() {
    stack_.begin(trainer_);
    trainer_.end_of_begin();
    std::vector<TrainedStep> records = resumed();
    while (static_cast<std::int64_t>(records.size()) < trainer_.total_steps()) {
      records.push_back(step(static_cast<std::int64_t>(records.size())));
      if (run_.on_step) run_.on_step(records.back());
      tell_progress({"step", records.back().step, trainer_.total_steps(), trainer_.tokens(), records.back().loss});
      keep(records);
    }
    stack_.finish(trainer_);
    check_weights(records.size());
    return records;
  }

 private:
  using Clock = std::chrono::steady_clock;

  TrainedStep step(std::int64_t number) {
    trainer_.set_step(number);
    TrainedStep record;
    record.step = number + 1;
    record.lr = rate_at(options_, number, trainer_.total_steps(), trainer_.rows().per_epoch());
    const std::int64_t before = trainer_.tokens();
    record.loss = stack_.step(trainer_);
    record.tokens = trainer_.tokens() - before;
    const auto gradients = gradients_of(trainer_.parameters());
    if (std::none_of(gradients.begin(), gradients.end(), [](const at::Tensor& each) { return each.defined(); })) {
      throw Error("step " + std::to_string(record.step) +
                  " left no gradient, so that nothing would be trained: a step calls backward");
    }
    refuse_unless_finite(record.loss, "loss", record.step);
    record.gradient_norm = clip_gradients(trainer_.parameters(), options_.clip_norm);
    refuse_unless_finite(record.gradient_norm, "gradient", record.step);
    trainer_.adam().step(gradients_of(trainer_.parameters()), record.lr);
    for (at::Tensor parameter : trainer_.parameters()) parameter.mutable_grad().reset();
    return record;
  }

  // Before the last step the loss of the next one tells; after it nothing else does.
  void check_weights(std::size_t steps) const {
    for (const auto& parameter : trainer_.parameters()) {
      if (at::isfinite(parameter).all().item<bool>()) continue;
      throw Error("training diverged: after step " + std::to_string(steps) + " a weight is not finite; lower lr");
    }
  }

  // All that the outcome is a function of; the order of rows follows from seed and position.
  std::string identity() {
    if (!identity_.empty()) return identity_;
    return identity_ = sha256(canonical({{"format", 3},
                                         {"members", stack_.names()},
                                         {"start", run_.checkpoint.start()},
                                         {"rows", trainer_.rows().digest()},
                                         {"options", to_json(options_)},
                                         {"seeds", {run_.order_seed, run_.init_seed}}}));
  }

  // The records of the steps that a checkpoint holds; all that the next one depends on is then where those steps left it.
  std::vector<TrainedStep> resumed() {
    const fs::path& file = run_.checkpoint.file;
    if (file.empty()) return {};
    auto progress = read_training_checkpoint(file, fs::exists(file) ? identity() : "");
    if (!progress) return {};
    const auto start = trainer_.positions();
    if (!trainer_.seek(progress->positions) || !trainer_.adam().restore(progress->optimizer)) {
      trainer_.seek(start);
      log_warning("the training checkpoint " + file.string() +
                  " holds other tensors or streams than it says: training begins anew");
      return {};
    }
    stack_.read(progress->kept);
    log_info("training goes on after step " + std::to_string(progress->records.size()) + " of " +
             std::to_string(trainer_.total_steps()));
    if (run_.on_step) std::for_each(progress->records.begin(), progress->records.end(), run_.on_step);
    return std::move(progress->records);
  }

  void keep(const std::vector<TrainedStep>& records) {
    const auto start = Clock::now();
    if (run_.checkpoint.file.empty() || start < next_checkpoint_) return;
    TrainingProgress progress{records, trainer_.adam().state(), trainer_.positions(), {}};
    if (!stack_.write(progress.kept)) {  // nor will it be later
      next_checkpoint_ = Clock::time_point::max();
      return;
    }
    write_training_checkpoint(run_.checkpoint.file, identity(), progress);
    const auto now = Clock::now();
    if (pause_ > Clock::duration::zero()) next_checkpoint_ = now + std::max<Clock::duration>(pause_, 10 * (now - start));
  }

  const TrainingOptions& options_;
  const TrainingRun& run_;
  BaseTrainer trainer_;
  TrainingStack stack_;
  std::string identity_;
  const Clock::duration pause_ =
      std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(run_.checkpoint.seconds));
  Clock::time_point next_checkpoint_ = Clock::now() + pause_;
};

}  // namespace

std::vector<TrainedStep> train(LanguageModel& model, const Dataset& data, const TrainingOptions& options,
                               const TrainingRun& run) {
  check_options(training_options(), options, "training");
  if (const auto why = why_untrainable(dtype_name(model.decoder().dtype())); !why.empty()) throw Error(why);
  EncodedRows rows = rows_to_learn(model, data, options.max_length, run);
  Decoder& decoder = model.decoder();
  decoder.merge_adapters();
  if (options.method == "lora") {
    decoder.add_adapters({options.lora_rank, options.lora_alpha, options.lora_targets}, run.init_seed);
  }
  struct Gradients {  // off again however the loop ends
    Decoder& decoder;
    explicit Gradients(Decoder& d) : decoder(d) { decoder.require_gradients(true); }
    ~Gradients() { decoder.require_gradients(false); }
  } gradients(decoder);
  return Loop(model, options, run, std::move(rows)).run();
}

std::string why_untrainable(const std::string& dtype) {
  if (dtype != "float16") return "";
  return "float16 has too narrow a range for gradients without loss scaling, which is not offered: train with dtype "
         "\"bfloat16\" or \"float32\"";
}

}  // namespace holdfast
