// What the trainer computes, in float64, against definitions that share no code with it: a decoder written down once more, its
// derivatives by autograd and by central differences, and AdamW with its schedules as formulas.
#include <gmock/gmock.h>
#include <torch/csrc/autograd/autograd.h>

#include <cmath>
#include <numbers>

#include "learn/checkpoint_fixtures.h"
#include "learn/gradient_check.h"
#include "learn/reference_decoder.h"

namespace holdfast {
namespace {

using fixtures::distance;
using fixtures::expect_gradients_of;
using fixtures::reference_loss;
using fixtures::ReferenceDecoder;
using fixtures::trainer_gradients;

using Gradients = std::map<std::string, at::Tensor>;

// Seven conversations of unequal lengths, one with two answers, so that label counts are ragged in every split.
Dataset ragged_rows() {
  Dataset data = fixtures::trained_rows();
  data[2].messages.push_back({"user", "And then?"});
  data[2].messages.push_back({"assistant", "Then we go home, all of us, and rest."});
  return data;
}

class Rules : public testing::TestWithParam<std::string> {
 protected:
  std::vector<Encoded> encoded(const Dataset& data) const {
    std::vector<Encoded> examples;
    for (const auto& row : data) examples.push_back(model_->encode(row.messages));
    return examples;
  }

  // Derivatives of the definition at the trainable tensors, by autograd of the reference.
  Gradients defined(const Dataset& data) {
    model_->decoder().require_gradients(true);
    const auto trainable = model_->trainable();
    std::vector<at::Tensor> tensors;
    for (const auto& [name, tensor] : trainable) tensors.push_back(tensor);
    const at::Tensor loss = reference_loss(ReferenceDecoder(model_->decoder()), encoded(data));
    const auto slopes = torch::autograd::grad({loss}, tensors);
    model_->decoder().require_gradients(false);
    Gradients gradients;
    std::size_t i = 0;
    for (const auto& [name, tensor] : trainable) gradients[name] = slopes[i++];
    return gradients;
  }

  double defined_loss(const Dataset& data) {
    const c10::NoGradGuard no_grad;
    return reference_loss(ReferenceDecoder(model_->decoder()), encoded(data)).item<double>();
  }

  void expect_definition(const Dataset& data, const fixtures::TrainerGradients& made) {
    EXPECT_NEAR(made.loss, defined_loss(data), 1e-11);
    for (const auto& [name, gradient] : defined(data)) EXPECT_LT(distance(made.gradients.at(name), gradient), 1e-11) << name;
  }

  std::unique_ptr<LanguageModel> model_ = fixtures::in_float64(fixtures::load(GetParam()));
};

INSTANTIATE_TEST_SUITE_P(Llama, Rules, testing::Values("grouped", "sharded"), [](const auto& info) { return info.param; });

TEST_P(Rules, TheForwardIsTheReferences) {
  const c10::NoGradGuard no_grad;
  const ReferenceDecoder reference(model_->decoder());
  for (const auto& example : encoded(ragged_rows())) {
    const at::Tensor hidden = model_->hidden(model_->pack({example}));
    EXPECT_LT(distance(model_->decoder().logits(hidden).log_softmax(1), reference.log_probs(example.ids)), 1e-11);
  }
}

TEST_P(Rules, PlainLoss) {
  const Dataset data = ragged_rows();
  const auto made = trainer_gradients(*model_, data, {});
  expect_definition(data, made);
  expect_gradients_of({"the plain loss", model_->trainable(), [&] { return defined_loss(data); }, made.gradients});
}

TEST_P(Rules, MicroBatchesAreTheWholeBatch) {
  const Dataset data = ragged_rows();
  for (const std::int64_t size : {1, 2, 3, 6}) {
    TrainingOptions options;
    options.micro_batch_size = size;
    expect_definition(data, trainer_gradients(*model_, data, options));
  }
}

TEST_P(Rules, ASharedPrefixIsEachExamplesOwn) {
  Dataset data = ragged_rows();
  data.push_back({{{"user", ""}, {"assistant", ""}}, {}});  // hardly more than the prefix
  for (auto& row : data) set_system(row.messages, "Be brief and kind, and say what you do not know.");
  std::int64_t shared = 0;
  const auto made = trainer_gradients(*model_, data, {}, [&](Trainer& trainer) {
    const Batches batches = trainer.rows().next();
    shared = batches.front().shared_prefix;
    return trainer.backward(batches);
  });
  EXPECT_GT(shared, 20);
  expect_definition(data, made);
}

TEST_P(Rules, CutRowsLearnWhatIsLeft) {
  const Dataset data = ragged_rows();
  TrainingOptions options;
  options.max_length = 30;
  std::vector<Encoded> kept;
  for (const auto& row : data) {
    Encoded example = model_->encode(row.messages);
    example.ids.resize(std::min<std::size_t>(example.ids.size(), 30));
    example.label.resize(example.ids.size());
    if (std::count(example.label.begin(), example.label.end(), true) > 0) kept.push_back(example);
  }
  ASSERT_GT(kept.size(), 2U);
  const c10::NoGradGuard no_grad;
  const double wanted = reference_loss(ReferenceDecoder(model_->decoder()), kept).item<double>();
  at::AutoGradMode with_gradients(true);
  EXPECT_NEAR(trainer_gradients(*model_, data, options).loss, wanted, 1e-11);
}

// A step that gives the fresh adapters' B factors, which start at zero, values: only then do A factors have gradients.
double step_on_full_factors(Trainer& trainer) {
  const c10::NoGradGuard no_grad;
  Random random(3);
  for (auto [name, parameter] : trainer.model().trainable()) {
    if (name.ends_with("lora_B.weight")) parameter.copy_(fixtures::gradient_check::random_like(parameter, random).mul(0.1));
  }
  at::AutoGradMode with_gradients(true);
  return fixtures::plain_step(trainer);
}

TEST_P(Rules, Lora) {
  const Dataset data = ragged_rows();
  TrainingOptions options;
  options.method = "lora";
  options.lora_rank = 3;
  options.lora_alpha = 7;
  const auto made = trainer_gradients(*model_, data, options, step_on_full_factors);
  ASSERT_EQ(made.gradients.size(), 2U * 7 * static_cast<std::size_t>(model_->layers()));
  expect_definition(data, made);
  expect_gradients_of({"LoRA", model_->trainable(), [&] { return defined_loss(data); }, made.gradients});

  // Merging changes nothing: the adapted forward, and W + (alpha / rank) B A, written down.
  const Conversation& chat = data[2].messages;
  const at::Tensor adapted = fixtures::log_probs(*model_, chat);
  NamedTensors wanted;
  for (const auto& [name, weight] : model_->decoder().weights()) wanted[name] = weight.clone();
  for (const auto& [module, lora] : model_->decoder().adapters()) {
    wanted[module + ".weight"] += 7.0 / 3.0 * lora.b.detach().matmul(lora.a.detach());
  }
  model_->decoder().merge_adapters();
  EXPECT_TRUE(model_->decoder().adapters().empty());
  EXPECT_LT(distance(adapted, fixtures::log_probs(*model_, chat)), 1e-11);
  for (const auto& [name, weight] : model_->decoder().weights()) EXPECT_LT(distance(weight, wanted.at(name)), 1e-13) << name;
}

// ---- Whole trainings: the loop, clipping, AdamW and the schedule as formulas.

using RateFormula = std::function<double(double step, double total, double per_epoch)>;  // step from 0; share of the peak rate

struct Schedule {
  std::string name;
  std::int64_t warmup;
  RateFormula formula;
};

const std::vector<Schedule>& schedules() {
  static const std::vector<Schedule> list = {
      {"constant", 0, [](double, double, double) { return 1.0; }},
      {"linear", 0, [](double step, double total, double) { return (total - step) / total; }},
      {"cosine", 0, [](double step, double total, double) { return (1 + std::cos(std::numbers::pi * step / total)) / 2; }},
      {"step", 0, [](double step, double, double per_epoch) { return std::pow(0.5, std::floor(step / per_epoch)); }},
      {"linear", 2, [](double step, double total, double) { return step < 2 ? (step + 1) / 2 : (total - step) / (total - 2); }},
      {"step", 4,
       [](double step, double, double per_epoch) {
         return step < 4 ? (step + 1) / 4 : std::pow(0.5, std::floor(step / per_epoch));
       }},
  };
  return list;
}

struct Trajectory {
  std::vector<double> losses, rates, norms;
  Gradients weights;  // of the end
};

// Trains the tensors in place, as the papers say it: decoupled decay, moments with bias correction, one norm over all tensors.
Trajectory defined_training(Gradients weights, const std::vector<Encoded>& rows, const TrainingOptions& o,
                            const RateFormula& formula, const std::function<at::Tensor(const std::vector<Encoded>&)>& loss_of) {
  const std::size_t per_epoch = (rows.size() + o.batch_size - 1) / o.batch_size, total = per_epoch * o.epochs;
  std::vector<at::Tensor> w, m, v;
  for (auto& [name, tensor] : weights) {
    w.push_back(tensor);
    m.push_back(at::zeros_like(tensor));
    v.push_back(at::zeros_like(tensor));
  }
  Trajectory made;
  for (std::size_t step = 0; step < total; ++step) {
    const std::size_t begin = step % per_epoch * o.batch_size, end = std::min(rows.size(), begin + o.batch_size);
    const at::Tensor loss = loss_of({rows.begin() + begin, rows.begin() + end});
    auto g = torch::autograd::grad({loss}, w);
    double squares = 0;
    for (const auto& gradient : g) squares += gradient.square().sum().item<double>();
    made.norms.push_back(std::sqrt(squares));
    made.losses.push_back(loss.item<double>());
    made.rates.push_back(o.lr * formula(step, total, per_epoch));
    const double shrink = o.clip_norm > 0 ? std::min(1.0, o.clip_norm / (made.norms.back() + 1e-6)) : 1;
    const double t = static_cast<double>(step + 1), lr = made.rates.back();
    const c10::NoGradGuard no_grad;
    for (std::size_t i = 0; i < w.size(); ++i) {
      g[i] = g[i] * shrink;
      m[i] = 0.9 * m[i] + 0.1 * g[i];
      v[i] = 0.999 * v[i] + 0.001 * g[i] * g[i];
      const at::Tensor move = m[i] / (1 - std::pow(0.9, t)) / ((v[i] / (1 - std::pow(0.999, t))).sqrt() + 1e-8);
      w[i].copy_(w[i] - lr * o.weight_decay * w[i] - lr * move);
    }
  }
  made.weights = std::move(weights);
  return made;
}

class WholeTraining : public testing::Test {
 protected:
  static TrainingOptions options() {
    TrainingOptions o;
    o.lr = 2e-3;
    o.epochs = 3;
    o.batch_size = 3;  // seven rows: the third step of an epoch has one
    o.micro_batch_size = 2;
    o.shuffle = false;
    o.weight_decay = 0.1;
    o.clip_norm = 4;
    o.step_gamma = 0.5;
    return o;
  }

  void expect_trajectory(const std::vector<TrainedStep>& records, const Trajectory& wanted) {
    ASSERT_EQ(records.size(), wanted.losses.size());
    for (std::size_t i = 0; i < records.size(); ++i) {
      EXPECT_NEAR(records[i].loss, wanted.losses[i], 1e-9) << "step " << i + 1;
      EXPECT_NEAR(records[i].lr, wanted.rates[i], 1e-15) << "step " << i + 1;
    }
    for (const auto& [name, weight] : wanted.weights) EXPECT_LT(distance(model_->trainable().at(name), weight), 1e-9) << name;
  }

  std::unique_ptr<LanguageModel> model_ = fixtures::in_float64(fixtures::load("grouped"));
  Dataset data_ = ragged_rows();
  std::vector<Encoded> rows_ = [this] {
    std::vector<Encoded> rows;
    for (const auto& row : data_) rows.push_back(model_->encode(row.messages));
    return rows;
  }();
};

class Scheduled : public WholeTraining, public testing::WithParamInterface<std::size_t> {};

INSTANTIATE_TEST_SUITE_P(WholeTraining, Scheduled, testing::Range<std::size_t>(0, schedules().size()), [](const auto& info) {
  const Schedule& schedule = schedules()[info.param];
  return schedule.name + (schedule.warmup > 0 ? "_after_warmup" : "");
});

TEST_P(Scheduled, IsTheFormulas) {
  const Schedule& schedule = schedules()[GetParam()];
  TrainingOptions o = options();
  o.schedule = schedule.name;
  o.warmup_steps = schedule.warmup;
  Gradients start;
  for (const auto& [name, weight] : model_->decoder().weights()) start[name] = weight.clone().set_requires_grad(true);
  const auto wanted = defined_training(start, rows_, o, schedule.formula, [&](const std::vector<Encoded>& batch) {
    return reference_loss(ReferenceDecoder(model_->decoder().config(), start, {}), batch);
  });
  EXPECT_GT(*std::max_element(wanted.norms.begin(), wanted.norms.end()), o.clip_norm) << "clipping does nothing here";
  EXPECT_LT(*std::min_element(wanted.norms.begin(), wanted.norms.end()), o.clip_norm) << "every step is clipped";
  expect_trajectory(train(*model_, data_, o, {}), wanted);
}

TEST_F(WholeTraining, OfLoraIsTheFormulas) {
  TrainingOptions o = options();
  o.method = "lora";
  o.lora_rank = 3;
  o.lora_alpha = 6;
  o.lora_targets = {"q_proj", "v_proj", "down_proj"};
  TrainingRun run;
  run.init_seed = 9;
  const auto adapted = model_->copy();
  adapted->decoder().add_adapters({o.lora_rank, o.lora_alpha, o.lora_targets}, run.init_seed);
  auto factors = adapted->decoder().adapters();
  Gradients start;
  for (const auto& [name, tensor] : adapted->trainable()) start[name] = at::Tensor(tensor).set_requires_grad(true);
  const auto wanted = defined_training(start, rows_, o, schedules()[0].formula, [&](const std::vector<Encoded>& batch) {
    return reference_loss(ReferenceDecoder(model_->decoder().config(), model_->decoder().weights(), factors), batch);
  });
  expect_trajectory(train(*model_, data_, o, run), wanted);
}

}  // namespace
}  // namespace holdfast
