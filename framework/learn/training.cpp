#include "learn/training.h"

#include <ATen/ATen.h>
#include <holdfast/error.h>
#include <holdfast/log.h>
#include <holdfast/random.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <numbers>
#include <numeric>

#include "base/digest.h"
#include "base/work_progress.h"
#include "learn/device.h"
#include "learn/encoded_rows.h"
#include "learn/optimizer.h"
#include "learn/training_options.h"

namespace holdfast {
namespace {

// The rows that teach something; what does not, and why, is said.
std::vector<Encoded> rows_to_learn(const LanguageModel& model, const Dataset& data, std::int64_t max_length,
                                   const TrainingRun& run) {
  EncodedRows encoded = encode_rows(model, data, max_length);
  check_teaches(encoded, max_length);
  for (const auto& remark : remarks(encoded, max_length)) log_warning(remark);
  if (run.on_rows) run.on_rows(encoded);
  std::erase_if(encoded.rows, [](const Encoded& row) { return std::count(row.label.begin(), row.label.end(), true) == 0; });
  return std::move(encoded.rows);
}

std::string digest_of(const std::vector<Encoded>& rows) {
  Sha256 digest;
  for (const auto& row : rows) {
    const std::string labels(row.label.begin(), row.label.end());
    const std::uint64_t tokens = row.ids.size();
    digest.update(&tokens, sizeof(tokens));
    digest.update(row.ids.data(), tokens * sizeof(row.ids[0]));
    digest.update(labels.data(), labels.size());
  }
  return digest.hex();
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

class Loop final : public Trainer {
 public:
  Loop(LanguageModel& model, const TrainingOptions& options, const TrainingRun& run, std::vector<Encoded> rows)
      : model_(model), options_(options), run_(run), rows_(std::move(rows)) {
    for (const auto& [name, tensor] : model.trainable()) parameters_.push_back(tensor);
    per_epoch_ = (static_cast<std::int64_t>(rows_.size()) + options.batch_size - 1) / options.batch_size;
  }

  Model& model() override { return model_; }
  std::int64_t step() const override { return step_; }
  std::int64_t total_steps() const override { return per_epoch_ * options_.epochs; }
  const TrainingOptions& options() const override { return options_; }
  const std::vector<at::Tensor>& parameters() const override { return parameters_; }

  at::Tensor loss(const Batch& batch) override { return -model_.log_probs(batch).sum() / batch.normalizer; }
  void backward(const at::Tensor& loss) override { loss.backward(); }
  std::vector<at::Tensor> gradients(const at::Tensor& loss, const std::vector<at::Tensor>& tensors) override {
    return torch::autograd::grad({loss}, tensors, /*grad_outputs=*/{}, /*retain_graph=*/false, /*create_graph=*/false,
                                 /*allow_unused=*/false);
  }

  std::vector<StepRecord> run() {
    AdamW optimizer(parameters_, options_.weight_decay);
    std::vector<StepRecord> records = resumed(optimizer);
    std::vector<std::size_t> order;
    std::int64_t tokens = 0;
    for (step_ = static_cast<std::int64_t>(records.size()); step_ < total_steps();) {
      const std::int64_t place = step_ % per_epoch_;
      if (order.empty() || place == 0) order = epoch_order(step_ / per_epoch_);
      const std::size_t begin = place * options_.batch_size;
      const std::size_t end = std::min<std::size_t>(begin + options_.batch_size, order.size());
      StepRecord record{step_ + 1, 0, rate_at(options_, step_, total_steps(), per_epoch_), 0};
      for (auto& batch : micro_batches({order.begin() + begin, order.begin() + end})) {
        record.tokens += batch.ids.size(0);
        record.loss += run_.step(*this, batch);
      }
      refuse_unless_finite(record.loss, "loss", record.step);
      refuse_unless_finite(clip_gradients(parameters_, options_.clip_norm), "gradient", record.step);
      optimizer.step(record.lr);
      optimizer.zero_grad();
      ++step_;
      records.push_back(record);
      if (run_.on_step) run_.on_step(record);
      tokens += record.tokens;
      tell_progress({"step", step_, total_steps(), tokens, record.loss});
      keep(optimizer, records);
    }
    check_weights(records.size());
    return records;
  }

 private:
  using Clock = std::chrono::steady_clock;

  // Before the last step the loss of the next one tells; after it nothing else does.
  void check_weights(std::size_t steps) const {
    for (const auto& parameter : parameters_) {
      if (at::isfinite(parameter).all().item<bool>()) continue;
      throw Error("training diverged: after step " + std::to_string(steps) + " a weight is not finite; lower lr");
    }
  }

  // All that the outcome is a function of; the order of rows follows from seed and step.
  std::string identity() {
    if (!identity_.empty()) return identity_;
    return identity_ = sha256(canonical({{"format", 1},
                                         {"start", run_.checkpoint.start()},
                                         {"rows", digest_of(rows_)},
                                         {"options", to_json(options_)},
                                         {"seeds", {run_.order_seed, run_.init_seed}}}));
  }

  // The records of the steps that a checkpoint holds; the weights and the optimizer are then where those steps left them.
  std::vector<StepRecord> resumed(AdamW& optimizer) {
    const fs::path& file = run_.checkpoint.file;
    if (file.empty()) return {};
    auto progress = read_training_checkpoint(file, fs::exists(file) ? identity() : "");
    if (!progress) return {};
    if (!optimizer.restore(progress->optimizer)) {
      log_warning("the training checkpoint " + file.string() + " holds other tensors than it says: training begins anew");
      return {};
    }
    log_info("training goes on after step " + std::to_string(progress->records.size()) + " of " +
             std::to_string(total_steps()));
    if (run_.on_step) std::for_each(progress->records.begin(), progress->records.end(), run_.on_step);
    return std::move(progress->records);
  }

  void keep(const AdamW& optimizer, const std::vector<StepRecord>& records) {
    const auto start = Clock::now();
    if (run_.checkpoint.file.empty() || start < next_checkpoint_) return;
    write_training_checkpoint(run_.checkpoint.file, identity(), {records, optimizer.state()});
    const auto now = Clock::now();
    if (pause_ > Clock::duration::zero()) next_checkpoint_ = now + std::max<Clock::duration>(pause_, 10 * (now - start));
  }

  std::vector<std::size_t> epoch_order(std::int64_t epoch) const {
    std::vector<std::size_t> order(rows_.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    if (options_.shuffle) Random(derive_seed(run_.order_seed, "epoch " + std::to_string(epoch))).shuffle(order);
    return order;
  }

  // All share the whole batch's number of labels, so that their gradients add up to the whole batch's.
  std::vector<Batch> micro_batches(const std::vector<std::size_t>& members) const {
    const std::size_t size = options_.micro_batch_size == 0 ? members.size() : options_.micro_batch_size;
    std::vector<Batch> batches;
    double labels = 0;
    for (std::size_t begin = 0; begin < members.size(); begin += size) {
      std::vector<Encoded> examples;
      for (std::size_t i = begin; i < std::min(begin + size, members.size()); ++i) examples.push_back(rows_[members[i]]);
      batches.push_back(model_.pack(examples));
      labels += batches.back().normalizer;
    }
    for (auto& batch : batches) batch.normalizer = labels;
    return batches;
  }

  LanguageModel& model_;
  const TrainingOptions& options_;
  const TrainingRun& run_;
  std::vector<Encoded> rows_;
  std::vector<at::Tensor> parameters_;
  std::int64_t per_epoch_ = 0;
  std::int64_t step_ = 0;
  std::string identity_;
  const Clock::duration pause_ =
      std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(run_.checkpoint.seconds));
  Clock::time_point next_checkpoint_ = Clock::now() + pause_;
};

}  // namespace

double plain_step(Trainer& trainer, const Batch& batch) {
  const at::Tensor loss = trainer.loss(batch);
  trainer.backward(loss);
  return loss.item<double>();
}

std::vector<StepRecord> train(LanguageModel& model, const Dataset& data, const TrainingOptions& options,
                              const TrainingRun& run) {
  check_options(training_options(), options, "training");
  if (const auto why = why_untrainable(dtype_name(model.decoder().dtype())); !why.empty()) throw Error(why);
  std::vector<Encoded> rows = rows_to_learn(model, data, options.max_length, run);
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
