#include <c10/core/GradMode.h>
#include <holdfast/testing.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>

#include "base/params_state.h"

namespace holdfast {
namespace {

// Whole batches of row numbers, in their order, again from the beginning behind the last.
class NumberedRows final : public Stream {
 public:
  NumberedRows(std::int64_t rows, std::int64_t batch_size) : rows_(rows), batch_size_(std::min(rows, batch_size)) {
    if (rows <= 0) throw Error("a stream of no rows");
  }
  Batches next() override {
    Batch batch;
    batch.normalizer = static_cast<double>(batch_size_);
    for (std::int64_t i = 0; i < batch_size_; ++i) batch.rows.push_back((position_ * batch_size_ + i) % rows_);
    batch.lengths.assign(batch.rows.size(), 1);
    ++position_;
    return {batch};
  }
  std::int64_t position() const override { return position_; }
  std::int64_t per_epoch() const override { return (rows_ + batch_size_ - 1) / batch_size_; }

 private:
  std::int64_t rows_, batch_size_, position_ = 0;
};

}  // namespace

GivenSettings::GivenSettings(std::initializer_list<GivenSetting> values, const std::filesystem::path& folder)
    : state_(std::make_shared<Params::State>()) {
  for (const auto& [name, value] : values) {
    state_->values[name] = std::visit([](const auto& held) { return Json(held); }, value);
  }
  state_->folder = folder;
}

Params GivenSettings::params() const { return Params(state_); }

std::vector<std::string> GivenSettings::mistakes() const {
  Params::State state = *state_;
  note_unread(state, "the plugin");
  std::vector<std::string> sentences;
  for (const auto& mistake : state.mistakes) sentences.push_back(mistake.sentence);
  return sentences;
}

FakeTrainer::FakeTrainer(Tensors parameters, Loss loss, std::int64_t rows)
    : parameters_(std::move(parameters)),
      loss_(std::move(loss)),
      rows_(std::make_unique<NumberedRows>(rows, training.batch_size)) {
  for (std::size_t i = 0; i < parameters_.size(); ++i) names_.push_back(std::to_string(i));
}

FakeTrainer::~FakeTrainer() = default;

void FakeTrainer::train_only(const std::function<bool(const std::string& name)>& which) {
  Tensors kept;
  std::vector<std::string> names;
  for (std::size_t i = 0; i < parameters_.size(); ++i) {
    if (!which(names_[i])) {
      parameters_[i].set_requires_grad(false);
      continue;
    }
    kept.push_back(parameters_[i]);
    names.push_back(names_[i]);
  }
  parameters_ = kept;
  names_ = names;
}

Stream& FakeTrainer::stream(const std::string& name, const Dataset& data, const StreamOptions& options) {
  const std::int64_t batch_size = options.batch_size == 0 ? training.batch_size : options.batch_size;
  auto& made = streams_[name];
  made = std::make_unique<NumberedRows>(static_cast<std::int64_t>(data.size()), batch_size);
  return *made;
}

at::Tensor FakeTrainer::total(const Batches& batches, const Loss& loss) const {
  at::Tensor sum;
  for (const auto& batch : batches) {
    const at::Tensor part = loss ? loss(batch) : loss_(batch);
    sum = sum.defined() ? sum + part : part;
  }
  return sum;
}

double FakeTrainer::backward(const Batches& batches, const Loss& loss) {
  const at::Tensor value = total(batches, loss);
  backward(value);
  return value.item<double>();
}

void FakeTrainer::backward(const at::Tensor& loss) { add_gradient(gradients(loss, parameters_), 1); }

Tensors FakeTrainer::gradients(const Batches& batches, const Loss& loss) {
  return gradients(total(batches, loss), parameters_);
}

Tensors FakeTrainer::gradients(const at::Tensor& loss, const Tensors& of, bool keep_graph) {
  const Tensors found = torch::autograd::grad({loss}, of, {}, keep_graph, /*create_graph=*/false, /*allow_unused=*/true);
  Tensors whole;
  for (std::size_t i = 0; i < of.size(); ++i) whole.push_back(found[i].defined() ? found[i] : at::zeros_like(of[i]));
  return whole;
}

void FakeTrainer::add_gradient(const Tensors& gradient, double scale) {
  const c10::NoGradGuard no_grad;
  for (std::size_t i = 0; i < parameters_.size(); ++i) {
    at::Tensor& grad = parameters_[i].mutable_grad();
    grad = grad.defined() ? grad + gradient[i] * scale : gradient[i] * scale;
  }
}

Snapshot FakeTrainer::snapshot(bool) const {
  Snapshot taken;
  for (const auto& parameter : parameters_) taken.weights.push_back(parameter.detach().clone());
  return taken;
}

void FakeTrainer::restore(const Snapshot& snapshot) {
  const c10::NoGradGuard no_grad;
  for (std::size_t i = 0; i < parameters_.size(); ++i) parameters_[i].copy_(snapshot.weights[i]);
}

void FakeTrainer::move(const Tensors& direction, double distance) {
  const c10::NoGradGuard no_grad;
  for (std::size_t i = 0; i < parameters_.size(); ++i) parameters_[i].add_(direction[i], distance);
}

std::unique_ptr<Optimizer> FakeTrainer::optimizer(double) {
  throw std::logic_error("a fake training has no optimizer for an inner loop");
}

}  // namespace holdfast
