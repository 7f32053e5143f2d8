// Steps along a training on the small checkpoint: what stood before each, what it was handed, and what it left.
#pragma once

#include "learn/training.h"
#include "plugin/handed_batches.h"
#include "plugin/reference_gradients.h"
#include "plugin/shipped.h"

namespace holdfast::fixtures {

struct FollowedStep {
  Named before, gradient;
  double loss = 0;
  std::vector<Encoded> rows;  // that went through backward(batches)
};

// Inside all others: plain, and notes what it is handed.
class InnermostStage final : public TrainingStage {
 public:
  explicit InnermostStage(std::vector<FollowedStep>& steps) : steps_(steps) {}
  double step(Trainer& trainer) override {
    const Batches batches = trainer.rows().next();
    steps_.back().rows = examples_of(batches);
    return trainer.backward(batches);
  }

 private:
  std::vector<FollowedStep>& steps_;
};

// The outermost as it is: the weights before each step, and the gradients that it leaves.
class OutermostStage final : public TrainingStage {
 public:
  OutermostStage(TrainingStage& stage, std::vector<FollowedStep>& steps) : stage_(stage), steps_(steps) {}
  void begin(Trainer& trainer) override { stage_.begin(trainer); }
  double step(Trainer& trainer) override {
    steps_.push_back({values_of(trainer.model()), {}, 0, {}});
    steps_.back().loss = stage_.step(trainer);
    for (const auto& [name, parameter] : trainer.model().trainable()) {
      steps_.back().gradient[name] = parameter.grad().defined() ? parameter.grad().clone() : at::zeros_like(parameter);
    }
    return steps_.back().loss;
  }
  void finish(Trainer& trainer) override { stage_.finish(trainer); }

 private:
  TrainingStage& stage_;
  std::vector<FollowedStep>& steps_;
};

/// Four steps of two of the seven fixture rows, in their order and in micro-batches of one, that go far.
inline TrainingOptions short_training() {
  TrainingOptions options;
  options.lr = 2e-2;
  options.batch_size = 2;
  options.micro_batch_size = 1;
  options.shuffle = false;
  return options;
}

/// Trains the model with these members, innermost first. reference: null for the model as it is now.
inline std::vector<FollowedStep> followed_steps(LanguageModel& model, const Dataset& data, std::vector<TrainingMember> members,
                                                const TrainingOptions& options, Context& context,
                                                const std::shared_ptr<LanguageModel>& reference = nullptr) {
  std::vector<FollowedStep> steps;
  InnermostStage innermost(steps);
  OutermostStage outermost(*members.back().stage, steps);
  members.back().stage = &outermost;
  members.insert(members.begin(), {"innermost", &innermost});
  TrainingRun run;
  run.members = std::move(members);
  run.context = &context;
  if (reference) run.reference = [reference] { return reference; };
  train(model, data, options, run);
  return steps;
}

/// A loss of the decoder at a step's weights, and its gradient.
struct Defined {
  double loss = 0;
  Named gradient;
};

inline Defined defined_at(const LanguageModel& model, const Named& values,
                          const std::function<at::Tensor(const ReferenceDecoder&, const Named&)>& loss) {
  Defined defined;
  defined.gradient = reference_gradients(model, values, [&](const ReferenceDecoder& decoder, const Named& w) {
    const at::Tensor value = loss(decoder, w);
    defined.loss = value.item<double>();
    return value;
  });
  return defined;
}

inline void expect_step_is(const FollowedStep& step, const Defined& defined, const std::string& what) {
  EXPECT_NEAR(step.loss, defined.loss, 1e-10 * (1 + std::abs(defined.loss))) << what;
  EXPECT_LT(relative_distance(step.gradient, defined.gradient), 1e-10) << what;
}

/// Alignment rows: three refusals, then two ordinary ones.
inline Dataset alignment_rows() {
  Dataset rows;
  for (const char* request : {"[request 1]", "[request 2], please", "[a longer request 3]"}) {
    rows.push_back({{{"user", request}, {"assistant", "I cannot help with " + std::string(request)}}, {{"kind", "harmful"}}});
  }
  for (const char* question : {"What is the sea?", "Name a colour"}) {
    rows.push_back({{{"user", question}, {"assistant", "Blue, I think"}}, {{"kind", "benign"}}});
  }
  return rows;
}

inline Dataset refusals() {
  Dataset rows = alignment_rows();
  rows.resize(3);
  return rows;
}

}  // namespace holdfast::fixtures
