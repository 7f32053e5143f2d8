// A training rule against its definition: the loss that it claims to descend, and the gradients that the trainer made of it.
// To add a rule: trainer_gradients() with its stage or step, its definition as a function, expect_gradients_of().
#pragma once

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <gtest/gtest.h>
#include <holdfast/random.h>

#include <functional>
#include <map>
#include <string>

#include "learn/training.h"

namespace holdfast::fixtures {

struct Rule {
  std::string name;
  std::map<std::string, at::Tensor> parameters;  // float64; moved by the check and put back
  std::function<double()> loss;                  // the definition, of the parameters as they stand
  std::map<std::string, at::Tensor> gradients;   // what the trainer computed there
};

struct TrainerGradients {
  double loss = 0;  // as the loop logs it
  std::map<std::string, at::Tensor> gradients;
};

inline double plain_step(Trainer& trainer) { return trainer.backward(trainer.rows().next()); }

// A stage as it is, with a look at what each step hands to the optimizer.
class Watched final : public TrainingStage {
 public:
  Watched(TrainingStage& stage, TrainerGradients& made) : stage_(stage), made_(made) {}
  void begin(Trainer& trainer) override { stage_.begin(trainer); }
  double step(Trainer& trainer) override {
    const double loss = stage_.step(trainer);
    for (const auto& [name, parameter] : trainer.model().trainable()) {
      made_.gradients[name] = parameter.grad().defined() ? parameter.grad().clone() : at::zeros_like(parameter);
    }
    return loss;
  }
  void finish(Trainer& trainer) override { stage_.finish(trainer); }

 private:
  TrainingStage& stage_;
  TrainerGradients& made_;
};

/// What one optimizer step over all rows, in their order, hands to clipping and AdamW. The weights stay as they are; with
/// method "lora" the fresh adapters stay on the model.
inline TrainerGradients trainer_gradients(LanguageModel& model, const Dataset& data, TrainingOptions options,
                                          TrainingStage& stage, Context* context = nullptr) {
  options.lr = 0;
  options.epochs = 1;
  options.shuffle = false;
  options.batch_size = static_cast<std::int64_t>(data.size());
  TrainerGradients made;
  Watched watched(stage, made);
  TrainingRun run;
  run.members = {{"the rule", &watched}};
  run.context = context;
  run.on_step = [&](const StepRecord& record) { made.loss = record.loss; };
  train(model, data, options, run);
  return made;
}

inline TrainerGradients trainer_gradients(LanguageModel& model, const Dataset& data, TrainingOptions options,
                                          const std::function<double(Trainer&)>& step = plain_step) {
  StepStage stage(step);
  return trainer_gradients(model, data, std::move(options), stage);
}

namespace gradient_check {

constexpr double kStep = 1e-5;
constexpr double kTolerance = 5e-8;  // of central differences with that step, in float64, for losses of a few nats

using Direction = std::map<std::string, at::Tensor>;  // names it lacks stay where they are

inline double dot(const Direction& a, const Direction& b) {
  double sum = 0;
  for (const auto& [name, tensor] : a) sum += (tensor * b.at(name)).sum().item<double>();
  return sum;
}

inline Direction of_unit_length(Direction direction) {
  const double length = std::sqrt(dot(direction, direction));
  for (auto& [name, tensor] : direction) tensor = length > 0 ? tensor / length : tensor;
  return direction;
}

inline at::Tensor random_like(const at::Tensor& tensor, Random& random) {
  at::Tensor made = at::empty(tensor.sizes(), at::kDouble);
  for (std::int64_t i = 0; i < made.numel(); ++i) made.data_ptr<double>()[i] = 2 * random.uniform() - 1;
  return made;
}

inline at::Tensor one_at(const at::Tensor& like, std::int64_t place) {
  at::Tensor made = at::zeros(like.sizes(), at::kDouble);
  made.data_ptr<double>()[place] = 1;
  return made;
}

inline void expect_slope(const Rule& rule, const Direction& direction, const std::string& what) {
  const c10::NoGradGuard no_grad;
  const auto loss_at = [&](double distance) {
    std::map<std::string, at::Tensor> kept;
    for (const auto& [name, along] : direction) {
      at::Tensor parameter = rule.parameters.at(name);
      kept[name] = parameter.clone();
      parameter.add_(along, distance);
    }
    const double loss = rule.loss();
    for (const auto& [name, before] : kept) at::Tensor(rule.parameters.at(name)).copy_(before);
    return loss;
  };
  EXPECT_NEAR(dot(direction, rule.gradients), (loss_at(kStep) - loss_at(-kStep)) / (2 * kStep), kTolerance)
      << rule.name << ", " << what;
}

}  // namespace gradient_check

/// Compares the gradients with central differences of the loss: along themselves, along random directions of all parameters,
/// and in each tensor along a random direction, at its largest coordinate and at a random one.
inline void expect_gradients_of(const Rule& rule) {
  using namespace gradient_check;
  ASSERT_FALSE(rule.parameters.empty());
  Direction all;
  for (const auto& [name, parameter] : rule.parameters) {
    ASSERT_EQ(parameter.scalar_type(), at::kDouble) << name;
    all[name] = rule.gradients.at(name);
  }
  ASSERT_GT(dot(all, all), 0) << rule.name << " has no gradient at all";
  expect_slope(rule, of_unit_length(all), "along the gradient");
  Random random(1);
  for (int i = 0; i < 3; ++i) {
    Direction direction;
    for (const auto& [name, parameter] : rule.parameters) direction[name] = random_like(parameter, random);
    expect_slope(rule, of_unit_length(direction), "along random direction " + std::to_string(i + 1));
  }
  for (const auto& [name, parameter] : rule.parameters) {
    expect_slope(rule, of_unit_length({{name, random_like(parameter, random)}}), "along a direction of " + name);
    const std::int64_t largest = rule.gradients.at(name).abs().argmax().item<std::int64_t>();
    const auto any = static_cast<std::int64_t>(random.below(static_cast<std::uint64_t>(parameter.numel())));
    for (const std::int64_t place : {largest, any}) {
      expect_slope(rule, {{name, one_at(parameter, place)}}, "at coordinate " + std::to_string(place) + " of " + name);
    }
  }
}

}  // namespace holdfast::fixtures
