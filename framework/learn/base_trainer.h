// The primitives of a training step over one model.
#pragma once

#include <holdfast/trainer.h>

#include <map>
#include <memory>

#include "learn/language_model.h"
#include "learn/optimizer.h"
#include "learn/row_stream.h"
#include "learn/training.h"

namespace holdfast {

class BaseTrainer final : public Trainer {
 public:
  /// The model requires gradients already. What is given must outlive it.
  BaseTrainer(LanguageModel& model, const TrainingOptions& options, const TrainingRun& run, EncodedRows rows);

  Model& model() override { return model_; }
  Context& context() override;
  const Model& reference() override;
  std::int64_t step() const override { return step_; }
  std::int64_t total_steps() const override { return rows_.per_epoch() * options_.epochs; }
  const TrainingOptions& options() const override { return options_; }
  const Tensors& parameters() const override { return weights_.parameters(); }
  const std::vector<std::string>& names() const override { return names_; }
  const Tensors& weights() const override { return weights_.values(); }
  void train_only(const std::function<bool(const std::string&)>& which) override;
  RowStream& rows() override { return rows_; }
  Stream& stream(const std::string& name, const Dataset& data, const StreamOptions& options) override;
  at::Tensor loss(const Batch& batch) override;
  double backward(const Batches& batches, const Loss& loss) override;
  void backward(const at::Tensor& loss) override;
  Tensors gradients(const Batches& batches, const Loss& loss) override;
  Tensors gradients(const at::Tensor& loss, const Tensors& of, bool keep_graph) override;
  void add_gradient(const Tensors& gradient, double scale) override;
  Snapshot snapshot(bool with_moments) const override;
  void restore(const Snapshot& snapshot) override;
  void move(const Tensors& direction, double distance) override { weights_.move(direction, distance); }
  std::unique_ptr<Optimizer> optimizer(double weight_decay) override;

  /// loss() of a batch whose predicting states (L, C) are there already.
  at::Tensor loss_of(const at::Tensor& states, const Batch& batch) const;
  void clear_gradients();

  AdamW& adam() { return adam_; }
  /// From here on streams and the reference are what they are.
  void end_of_begin() { beginning_ = false; }
  void set_step(std::int64_t step) { step_ = step; }
  /// Of all batches taken from all streams.
  std::int64_t tokens() const;
  /// Where each stream stands, by name; "" is the stage's own rows.
  std::map<std::string, std::int64_t> positions() const;
  /// False, and nothing is changed, when these are not the positions of the streams there are.
  bool seek(const std::map<std::string, std::int64_t>& positions);

 private:
  LanguageModel& model_;
  const TrainingOptions& options_;
  const TrainingRun& run_;
  std::vector<std::string> names_;
  MasterWeights weights_;
  AdamW adam_;
  RowStream rows_;
  std::map<std::string, std::unique_ptr<RowStream>> streams_;
  std::shared_ptr<const LanguageModel> reference_;
  std::int64_t step_ = 0;
  bool beginning_ = true;
};

}  // namespace holdfast
