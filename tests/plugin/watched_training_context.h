// A context whose trainings are real, with a look at them: for repairs that train.
#pragma once

#include "fakes/context.h"
#include "learn/adapted_model.h"
#include "learn/gradient_check.h"

namespace holdfast::fixtures {

class WatchedTrainingContext final : public fakes::FakeContext {
 public:
  void train(Model& model, const Dataset& data, const TrainingOptions& options,
             const std::function<double(Trainer&)>& step = {}) override {
    FakeContext::train(model, data, options, step);
    last = {};
    auto& ours = dynamic_cast<LanguageModel&>(model);
    if (move_before > 0) {
      double phase = 0.3;
      for (const auto& [name, weight] : ours.weights()) {
        ours.set_weight(name, weight + waves(weight.sizes(), phase).mul(move_before).to(weight.scalar_type()));
        phase += 0.37;
      }
    }
    StepStage stage(step ? step : plain_step);
    Watched watched(stage, last);
    TrainingRun run;
    run.members = {{"the step", &watched}};
    run.context = this;
    run.order_seed = 4;
    run.on_step = [this](const StepRecord& record) { losses.push_back(record.loss); };
    holdfast::train(ours, data, options, run);
  }

  double move_before = 0;  // how far all weights are moved before the first step
  TrainerGradients last;   // of the last step
  std::vector<double> losses;
};

}  // namespace holdfast::fixtures
