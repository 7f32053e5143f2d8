#include "learn/base_trainer.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <holdfast/error.h>
#include <holdfast/random.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>

namespace holdfast {
namespace {

std::vector<std::string> names_of(Model& model) {
  std::vector<std::string> names;
  for (const auto& [name, tensor] : model.trainable()) names.push_back(name);
  return names;
}

Tensors tensors_of(Model& model) {
  Tensors tensors;
  for (const auto& [name, tensor] : model.trainable()) tensors.push_back(tensor);
  return tensors;
}

// Zeros stand for what the loss does not reach.
Tensors gradients_or_zeros(const at::Tensor& loss, const Tensors& of, bool keep_graph) {
  Tensors reached;
  for (const auto& tensor : of) {
    if (tensor.requires_grad()) reached.push_back(tensor);
  }
  const Tensors found = reached.empty() || !loss.requires_grad()
                            ? Tensors(reached.size())
                            : torch::autograd::grad({loss}, reached, /*grad_outputs=*/{}, keep_graph, /*create_graph=*/false,
                                                    /*allow_unused=*/true);
  Tensors gradients;
  std::size_t next = 0;
  for (const auto& tensor : of) {
    const at::Tensor gradient = tensor.requires_grad() ? found[next++] : at::Tensor();
    // A graph that is kept may hold a gradient that it gives again.
    gradients.push_back(!gradient.defined() ? at::zeros_like(tensor) : keep_graph ? gradient.clone() : gradient);
  }
  return gradients;
}

class InnerAdamW final : public Optimizer {
 public:
  InnerAdamW(MasterWeights& weights, double weight_decay, OptimizerStates states) : adam_(weights, weight_decay, states) {}
  void step(const Tensors& gradients, double lr) override { adam_.step(gradients, lr); }

 private:
  AdamW adam_;
};

}  // namespace

BaseTrainer::BaseTrainer(LanguageModel& model, const TrainingOptions& options, const TrainingRun& run, EncodedRows rows)
    : model_(model),
      options_(options),
      run_(run),
      names_(names_of(model)),
      weights_(tensors_of(model), optimizer_states(options.optimizer_states)),
      adam_(weights_, options.weight_decay, optimizer_states(options.optimizer_states)),
      rows_(model, std::move(rows), {options.batch_size, options.micro_batch_size, options.shuffle, run.order_seed}) {}

Context& BaseTrainer::context() {
  if (run_.context == nullptr) throw Error("a training step asks for its context, and this training is part of no stage");
  return *run_.context;
}

const Model& BaseTrainer::reference() {
  if (reference_) return *reference_;
  if (!beginning_) throw Error("a training stage asks for its reference() after the first step began: ask for it in begin()");
  if (run_.reference) {
    reference_ = run_.reference();
  } else {
    std::shared_ptr<LanguageModel> copy = model_.copy();
    copy->freeze();
    reference_ = std::move(copy);
  }
  return *reference_;
}

void BaseTrainer::train_only(const std::function<bool(const std::string&)>& which) {
  for (std::size_t i = 0; i < names_.size(); ++i) {
    at::Tensor parameter = parameters()[i];
    parameter.set_requires_grad(which(names_[i]));
    if (!parameter.requires_grad()) parameter.mutable_grad().reset();
  }
}

Stream& BaseTrainer::stream(const std::string& name, const Dataset& data, const StreamOptions& options) {
  if (!beginning_)
    throw Error("a training stage makes the stream \"" + name + "\" after the first step began: make it in begin()");
  EncodedRows encoded = encode_rows(model_, data, options_.max_length);
  check_teaches(encoded, options_.max_length);
  if (!options.order.empty() && encoded.left_out() > 0) {
    throw Error("the rows of the stream \"" + name + "\" come in pairs and " + std::to_string(encoded.left_out()) +
                " of them teach nothing: leave out both rows of such a pair");
  }
  const RowStreamOptions made{options.batch_size > 0 ? options.batch_size : options_.batch_size, options_.micro_batch_size,
                              options.shuffle,
                              derive_seed(run_.order_seed, "stream " + (options.order.empty() ? name : options.order))};
  const auto [place, fresh] = streams_.emplace(name, std::make_unique<RowStream>(model_, std::move(encoded), made));
  if (!fresh) throw Error("a training stage makes two streams named \"" + name + "\": give each a name of its own");
  return *place->second;
}

at::Tensor BaseTrainer::loss(const Batch& batch) { return model_.loss(batch); }

at::Tensor BaseTrainer::loss_of(const at::Tensor& states, const Batch& batch) const { return model_.loss_of(states, batch); }

void BaseTrainer::clear_gradients() {
  for (at::Tensor parameter : parameters()) parameter.mutable_grad().reset();
}

double BaseTrainer::backward(const Batches& batches, const Loss& loss) {
  double sum = 0;
  for (const auto& batch : batches) {
    const at::Tensor value = loss ? loss(batch) : this->loss(batch);
    value.backward();
    sum += value.item<double>();
  }
  return sum;
}

void BaseTrainer::backward(const at::Tensor& loss) { loss.backward(); }

Tensors BaseTrainer::gradients(const Batches& batches, const Loss& loss) {
  Tensors sum;
  for (std::size_t i = 0; i < parameters().size(); ++i) {
    sum.push_back(at::zeros_like(parameters()[i], weights_.values()[i].scalar_type()));
  }
  for (const auto& batch : batches) {
    const Tensors part = gradients_or_zeros(loss ? loss(batch) : this->loss(batch), parameters(), false);
    for (std::size_t i = 0; i < sum.size(); ++i) sum[i].add_(part[i]);
  }
  return sum;
}

Tensors BaseTrainer::gradients(const at::Tensor& loss, const Tensors& of, bool keep_graph) {
  return gradients_or_zeros(loss, of, keep_graph);
}

void BaseTrainer::add_gradient(const Tensors& gradient, double scale) {
  const c10::NoGradGuard no_grad;
  for (std::size_t i = 0; i < gradient.size(); ++i) {
    const at::Tensor& parameter = parameters()[i];
    if (!parameter.requires_grad()) continue;
    if (!parameter.grad().defined()) parameter.mutable_grad() = at::zeros_like(parameter);
    parameter.mutable_grad().add_(gradient[i].to(parameter.options()), scale);
  }
}

Snapshot BaseTrainer::snapshot(bool with_moments) const {
  Snapshot made;
  for (const auto& value : weights_.values()) made.weights.push_back(value.clone());
  if (with_moments) {
    for (const auto& moment : adam_.moments()) made.moments.push_back(moment.clone());
  }
  return made;
}

void BaseTrainer::restore(const Snapshot& snapshot) {
  weights_.assign(snapshot.weights);
  if (!snapshot.moments.empty()) adam_.assign_moments(snapshot.moments);
}

std::unique_ptr<Optimizer> BaseTrainer::optimizer(double weight_decay) {
  return std::make_unique<InnerAdamW>(weights_, weight_decay, optimizer_states(options_.optimizer_states));
}

std::int64_t BaseTrainer::tokens() const {
  std::int64_t sum = rows_.tokens();
  for (const auto& [name, stream] : streams_) sum += stream->tokens();
  return sum;
}

std::map<std::string, std::int64_t> BaseTrainer::positions() const {
  std::map<std::string, std::int64_t> positions = {{"", rows_.position()}};
  for (const auto& [name, stream] : streams_) positions[name] = stream->position();
  return positions;
}

bool BaseTrainer::seek(const std::map<std::string, std::int64_t>& given) {
  const auto own = positions();
  const bool fits = std::equal(own.begin(), own.end(), given.begin(), given.end(),
                               [](const auto& a, const auto& b) { return a.first == b.first; });
  if (!fits) return false;
  rows_.seek(given.at(""));
  for (const auto& [name, stream] : streams_) stream->seek(given.at(name));
  return true;
}

}  // namespace holdfast
