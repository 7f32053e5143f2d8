// A Context whose train() trains.
#pragma once

#include "fakes/context.h"
#include "learn/training.h"

namespace holdfast::fakes {

class TrainingContext : public FakeContext {
 public:
  void train(Model& model, const Dataset& data, const TrainingOptions& options,
             const std::function<double(Trainer&)>& step = {}) override {
    FakeContext::train(model, data, options, step);
    trainings.push_back({data, options});
    const std::string number = std::to_string(trainings.size());
    StepStage stage(step);
    TrainingRun run;
    run.context = this;
    if (step) run.members = {{"the step", &stage}};
    run.order_seed = seed("order of training " + number);
    run.init_seed = seed("init of training " + number);
    holdfast::train(dynamic_cast<LanguageModel&>(model), data, options, run);
  }

  struct Training {
    Dataset rows;
    TrainingOptions options;
  };
  std::vector<Training> trainings;
};

}  // namespace holdfast::fakes
