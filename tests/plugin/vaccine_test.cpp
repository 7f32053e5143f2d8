// Vaccine against its formula, in float64: on a residual network of two tapped layers, where expected values come from central
// differences of the loss alone, and on a decoder in the training loop, against the decoder written down once more.
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <cmath>
#include <functional>

#include "fakes/model.h"
#include "learn/checkpoint_fixtures.h"
#include "learn/gradient_check.h"
#include "learn/reference_decoder.h"
#include "plugin/shipped.h"

namespace holdfast {
namespace {

constexpr int kRows = 3, kWidth = 4, kLayers = 2;
using Offsets = std::vector<at::Tensor>;

at::Tensor numbers(std::vector<std::int64_t> shape, double phase) {
  std::int64_t count = 1;
  for (const auto side : shape) count *= side;
  return at::arange(count, at::kDouble).mul(0.7).add(phase).sin().reshape(shape);
}

struct Network {
  std::vector<at::Tensor> weights = {numbers({kWidth, kWidth}, 0.1), numbers({kWidth, kWidth}, 2.0).mul(3),
                                     numbers({kWidth}, 1.0)};
  at::Tensor inputs = numbers({kRows, kWidth}, 0.4);

  at::Tensor loss(const Offsets& offsets, const Listeners* listeners = nullptr) const {
    at::Tensor x = inputs;
    for (int layer = 0; layer < kLayers; ++layer) {
      at::Tensor e = x.matmul(weights[layer]).tanh();
      if (listeners != nullptr) e = listeners->pass(Site::kAttention, layer, e);
      if (!offsets.empty()) e = e + offsets[layer];
      x = x + e * (layer + 1);
    }
    return (x.matmul(weights[2]) - 0.5).square().mean();
  }
};

class NetworkTrainer final : public Trainer {
 public:
  NetworkTrainer() {
    for (auto& weight : network.weights) weight.requires_grad_(true);
  }

  Model& model() override { return model_; }
  std::int64_t step() const override { return 0; }
  std::int64_t total_steps() const override { return 1; }
  const TrainingOptions& options() const override { return options_; }
  at::Tensor loss(const Batch&) override {
    if (fail_at == ++losses) throw Error("out of memory");
    return network.loss({}, &model_.taps);
  }
  void backward(const at::Tensor& loss) override { loss.backward(); }
  std::vector<at::Tensor> gradients(const at::Tensor& loss, const std::vector<at::Tensor>& tensors) override {
    return torch::autograd::grad({loss}, tensors);
  }
  const std::vector<at::Tensor>& parameters() const override { return network.weights; }

  Network network;
  int losses = 0;
  int fail_at = 0;

 private:
  fakes::FakeModel model_;
  TrainingOptions options_;
};

// d f / d tensor by central differences; the tensor is put back as it was.
at::Tensor slope(at::Tensor tensor, const std::function<double()>& f) {
  constexpr double kStep = 1e-5;
  at::Tensor result = at::zeros_like(tensor);
  double* value = tensor.data_ptr<double>();
  for (std::int64_t i = 0; i < tensor.numel(); ++i) {
    const double kept = value[i];
    value[i] = kept + kStep;
    const double above = f();
    value[i] = kept - kStep;
    const double below = f();
    value[i] = kept;
    result.data_ptr<double>()[i] = (above - below) / (2 * kStep);
  }
  return result;
}

double length_of(const at::Tensor& tensor) { return std::sqrt(tensor.square().sum().item<double>()); }

enum class Variant { kVaccine, kNormPerLayer, kDownhill, kNoPerturbation };

// The gradients of the perturbed loss, from the card's formula and finite differences.
std::vector<at::Tensor> expected_gradients(const Network& network, double rho, Variant variant) {
  Offsets offsets = {at::zeros({kRows, kWidth}, at::kDouble), at::zeros({kRows, kWidth}, at::kDouble)};
  const auto f = [&] { return network.loss(offsets).item<double>(); };
  const Offsets g = {slope(offsets[0], f), slope(offsets[1], f)};
  const double global = std::sqrt(std::pow(length_of(g[0]), 2) + std::pow(length_of(g[1]), 2));
  for (int layer = 0; layer < kLayers; ++layer) {
    const double length = variant == Variant::kNormPerLayer ? length_of(g[layer]) : global;
    const double sign = variant == Variant::kDownhill ? -1 : variant == Variant::kNoPerturbation ? 0 : 1;
    offsets[layer] = g[layer] * (sign * rho / (length + 1e-7));
  }
  std::vector<at::Tensor> gradients;
  for (const auto& weight : network.weights) gradients.push_back(slope(weight, f));
  return gradients;
}

double distance(const std::vector<at::Tensor>& a, const std::vector<at::Tensor>& b) {
  double largest = 0;
  for (std::size_t i = 0; i < a.size(); ++i) largest = std::max(largest, (a[i] - b[i]).abs().max().item<double>());
  return largest;
}

std::vector<at::Tensor> vaccine_gradients(double rho, double* logged = nullptr) {
  NetworkTrainer trainer;
  const DefenseStages vaccine = make_defense("vaccine", {{"rho", rho}});
  const double loss = vaccine.align->step(trainer, Batch{});
  if (logged != nullptr) *logged = loss;
  std::vector<at::Tensor> gradients;
  for (const auto& weight : trainer.parameters()) gradients.push_back(weight.grad());
  return gradients;
}

TEST(Vaccine, GradientsAreThoseOfThePerturbedLoss) {
  const Network network;
  for (const double rho : {0.1, 2.0}) {
    EXPECT_LT(distance(vaccine_gradients(rho), expected_gradients(network, rho, Variant::kVaccine)), 1e-7) << rho;
  }
}

TEST(Vaccine, TheComparisonTellsWrongVariantsApart) {
  const Network network;
  for (const auto variant : {Variant::kNormPerLayer, Variant::kDownhill, Variant::kNoPerturbation}) {
    EXPECT_GT(distance(vaccine_gradients(2), expected_gradients(network, 2, variant)), 1e-2) << static_cast<int>(variant);
  }
}

// rho g_l / (G + 1e-7) at the output of each attention block, held fixed while the weights' gradients are taken.
std::vector<at::Tensor> defined_perturbation(const LanguageModel& model, const std::vector<Encoded>& rows, double rho) {
  std::int64_t tokens = 0;
  for (const auto& row : rows) tokens += static_cast<std::int64_t>(row.ids.size());
  std::vector<at::Tensor> offsets;
  for (std::int64_t l = 0; l < model.layers(); ++l) {
    offsets.push_back(at::zeros({tokens, model.width()}, at::kDouble).set_requires_grad(true));
  }
  const at::Tensor loss = fixtures::reference_loss(fixtures::ReferenceDecoder(model.decoder()), rows, offsets);
  const auto gradients = torch::autograd::grad({loss}, offsets);
  double squares = 0;
  for (const auto& gradient : gradients) squares += std::pow(length_of(gradient), 2);
  std::vector<at::Tensor> perturbation;
  for (const auto& gradient : gradients) perturbation.push_back(rho * gradient / (std::sqrt(squares) + 1e-7));
  return perturbation;
}

TEST(Vaccine, DescendsThePerturbedLossOfADecoder) {
  const auto model = fixtures::in_float64(fixtures::load("grouped"));
  const Dataset data = fixtures::trained_rows();
  std::vector<Encoded> rows;
  for (const auto& row : data) rows.push_back(model->encode(row.messages));
  for (const double rho : {0.3, 2.0}) {
    const DefenseStages vaccine = make_defense("vaccine", {{"rho", rho}});
    const auto made = fixtures::trainer_gradients(
        *model, data, {}, [&](Trainer& trainer, const Batch& batch) { return vaccine.align->step(trainer, batch); });
    const auto offsets = defined_perturbation(*model, rows, rho);
    const auto loss = [&] {
      const c10::NoGradGuard no_grad;
      return fixtures::reference_loss(fixtures::ReferenceDecoder(model->decoder()), rows, offsets).item<double>();
    };
    EXPECT_NEAR(made.loss, loss(), 1e-10);
    const c10::NoGradGuard no_grad;
    EXPECT_GT(made.loss, fixtures::reference_loss(fixtures::ReferenceDecoder(model->decoder()), rows).item<double>() + 1e-3);
    fixtures::expect_gradients_of({"vaccine", model->trainable(), loss, made.gradients});
  }
}

TEST(Vaccine, RhoZeroIsPlainAlignment) {
  const Network network;
  double logged = 0;
  EXPECT_LT(distance(vaccine_gradients(0, &logged), expected_gradients(network, 0, Variant::kNoPerturbation)), 1e-7);
  EXPECT_NEAR(logged, network.loss({}).item<double>(), 1e-12);
}

TEST(Vaccine, RhoIsTwoByDefaultAsInThePaper) {
  const Settings settings;
  Params params(settings.state);
  shipped("vaccine").make_defense(params);
  EXPECT_EQ(settings.state->resolved.at("rho"), 2.0);
}

TEST(Vaccine, LeavesNoTapsBehindEvenAfterAnError) {
  for (const int fail_at : {0, 1, 2}) {
    NetworkTrainer trainer;
    trainer.fail_at = fail_at;
    const DefenseStages vaccine = make_defense("vaccine");
    if (fail_at == 0) {
      vaccine.align->step(trainer, Batch{});
    } else {
      EXPECT_THROW(vaccine.align->step(trainer, Batch{}), Error);
    }
    EXPECT_TRUE(trainer.model().listeners().empty());
  }
}

}  // namespace
}  // namespace holdfast
