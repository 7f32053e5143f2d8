// A training by a stage as its steps made it, and the plain one.
#pragma once

#include <holdfast/error.h>

#include "fakes/context.h"
#include "learn/gradient_check.h"
#include "plugin/whole_trainings.h"

namespace holdfast::fixtures {

struct MadeStep {
  Named before, gradient;  // the weights that the step began with, and what it handed to the optimizer
  double loss = 0;         // as the stage returned it
};

struct MadeTraining {
  std::vector<MadeStep> steps;
  Named before_finish;  // the weights behind the last step
};

// A stage as it is, with all its steps kept.
class Kept final : public TrainingStage {
 public:
  Kept(TrainingStage& stage, MadeTraining& made) : stage_(stage), made_(made) {}
  void begin(Trainer& trainer) override { stage_.begin(trainer); }
  double step(Trainer& trainer) override {
    made_.steps.push_back({values_of(trainer.model()), {}, 0});
    MadeStep& step = made_.steps.back();
    step.loss = stage_.step(trainer);
    for (const auto& [name, parameter] : trainer.model().trainable()) {
      step.gradient[name] = parameter.grad().defined() ? parameter.grad().clone() : at::zeros_like(parameter);
    }
    return step.loss;
  }
  void finish(Trainer& trainer) override {
    made_.before_finish = values_of(trainer.model());
    stage_.finish(trainer);
  }

 private:
  TrainingStage& stage_;
  MadeTraining& made_;
};

/// Steps over all rows at once, in their order, as many as there are epochs; the weights move. With method "lora" the adapters
/// stay on the model.
inline MadeTraining steps_of(LanguageModel& model, const Dataset& rows, TrainingOptions options, TrainingStage& stage,
                             Context& context) {
  options.shuffle = false;
  options.batch_size = static_cast<std::int64_t>(rows.size());
  options.lora_rank = 3;
  MadeTraining made;
  Kept kept(stage, made);
  TrainingRun run;
  run.members = {{"the rule", &kept}};
  run.context = &context;
  run.init_seed = 6;
  train(model, rows, options, run);
  return made;
}

/// The plain loss of the decoder with these values.
inline Named plain_gradient(const LanguageModel& model, const Named& at, const Dataset& rows) {
  return reference_gradients(
      model, at, [&](const ReferenceDecoder& decoder, const Named&) { return reference_loss(decoder, encoded(model, rows)); });
}

/// Whole trainings by `plain` end in the bits of plain training, and those by `other` do not.
inline void expect_plain_training(const WholeTrainings::MakeStage& plain, const WholeTrainings::MakeStage& other,
                                  Context& context) {
  for (const char* method : {"full", "lora"}) {
    const auto trained = [&](const WholeTrainings::MakeStage& make) {
      return WholeTrainings(make, context, method, "float32").undisturbed();
    };
    const Trained wanted = trained([] { return std::make_shared<StepStage>(plain_step); });
    EXPECT_TRUE(same_bits(trained(plain), wanted)) << method;
    EXPECT_FALSE(same_bits(trained(other), wanted)) << method;
  }
}

/// The message of the Error that a training by the stage ends with, or "no error".
inline std::string error_of(LanguageModel& model, TrainingStage& stage, Context& context, const std::string& method = "full") {
  try {
    TrainingOptions options;
    options.method = method;
    steps_of(model, trained_rows(), options, stage, context);
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

/// What the constructor finds wrong with the settings.
inline std::string mistakes_of(const std::string& plugin, const Json& values) {
  const Settings settings = Settings::of(values);
  Params params(settings.state);
  shipped(plugin).make_defense(params);
  return settings.mistakes();
}

}  // namespace holdfast::fixtures
