// Whole trainings on the small checkpoint by a stage of a shipped plugin: undisturbed, or killed and gone on with.
#pragma once

#include "base/scratch_folder.h"
#include "learn/training.h"
#include "plugin/reference_gradients.h"
#include "plugin/shipped.h"

namespace holdfast::fixtures {

/// The stage in which a defense trains.
inline std::shared_ptr<TrainingStage> training_stage(const DefenseStages& stages) {
  TrainingStage* stage = stages.tune;
  if (stages.align != nullptr) stage = stages.align;
  if (stages.pretrain != nullptr) stage = stages.pretrain;
  return {stages.owner, stage};
}

struct Trained {
  Named weights, last_gradient;
  std::vector<double> losses;
  std::int64_t steps_made = 0;  // by the process that ended it
};

inline bool same_bits(const Trained& a, const Trained& b) {
  return a.losses == b.losses && std::equal(a.weights.begin(), a.weights.end(), b.weights.begin(), b.weights.end(),
                                            [](auto& x, auto& y) { return x.first == y.first && x.second.equal(y.second); });
}

// A stage as it is, with a look at its steps.
class Followed final : public TrainingStage {
 public:
  Followed(TrainingStage& stage, Trained& trained) : stage_(stage), trained_(trained) {}
  void begin(Trainer& trainer) override { stage_.begin(trainer); }
  double step(Trainer& trainer) override {
    const double loss = stage_.step(trainer);
    ++trained_.steps_made;
    for (const auto& [name, parameter] : trainer.model().trainable()) {
      trained_.last_gradient[name] = parameter.grad().defined() ? parameter.grad().clone() : at::zeros_like(parameter);
    }
    return loss;
  }
  void finish(Trainer& trainer) override { stage_.finish(trainer); }
  bool archive(Archive& archive) override { return stage_.archive(archive); }

 private:
  TrainingStage& stage_;
  Trained& trained_;
};

class WholeTrainings {
 public:
  using MakeStage = std::function<std::shared_ptr<TrainingStage>()>;
  WholeTrainings(MakeStage make, Context& context, std::string method, std::string dtype)
      : make_(std::move(make)), context_(context), dtype_(std::move(dtype)) {
    options_.method = std::move(method);
    options_.lr = 3e-3;
    options_.epochs = 2;  // of four steps each, the last of them short
    options_.batch_size = 2;
    options_.micro_batch_size = 1;
    options_.lora_rank = 3;
  }

  Trained undisturbed() { return run("", 0); }
  /// Killed after that step, with a checkpoint behind the one before it, and gone on with by a new process.
  Trained killed_after(std::int64_t step) {
    fs::remove(file_);
    run(file_, step);
    EXPECT_TRUE(fs::exists(file_));
    return run(file_, 0);
  }

 private:
  struct Killed {};

  Trained run(const fs::path& checkpoint, std::int64_t kill_after) {
    const auto model = load_model(fixtures::checkpoint("grouped").string(), {"cpu", dtype_});
    const auto stage = make_();
    TrainingOptions options = options_;
    Dataset rows = trained_rows();
    stage->prepare(options, rows, context_);
    Trained trained;
    Followed followed(*stage, trained);
    TrainingRun run;
    run.members = {{"the stage", &followed}};
    run.context = &context_;
    run.order_seed = 5;
    run.init_seed = 6;
    run.checkpoint = {checkpoint, 0, [] { return std::string("the fixture"); }};
    run.on_step = [&](const StepRecord& record) {
      trained.losses.push_back(record.loss);
      if (record.step == kill_after) throw Killed();
    };
    try {
      train(*model, rows, options, run);
    } catch (const Killed&) {
    }
    trained.weights = values_of(*model);
    return trained;
  }

  MakeStage make_;
  Context& context_;
  std::string dtype_;
  TrainingOptions options_;
  ScratchFolder scratch_;
  fs::path file_ = scratch_ / "training.safetensors";
};

// Plain training, which keeps nothing.
class PlainTraining final : public TrainingStage {
 public:
  bool archive(Archive&) override { return true; }
};

/// Makes the stage in which that defense trains with these settings.
inline WholeTrainings::MakeStage stage_with(const std::string& plugin, const Json& settings) {
  return [=] { return training_stage(make_defense(plugin, settings)); };
}

/// With `zero` it is plain training to the bit, in all that a training can be; with `some` it is not.
inline void expect_strength(const WholeTrainings::MakeStage& zero, const WholeTrainings::MakeStage& some, Context& context) {
  for (const auto& [method, dtype] : {std::pair{"full", "float32"}, {"lora", "float32"}, {"full", "bfloat16"}}) {
    const Trained plain =
        WholeTrainings([] { return std::make_shared<PlainTraining>(); }, context, method, dtype).undisturbed();
    EXPECT_TRUE(same_bits(WholeTrainings(zero, context, method, dtype).undisturbed(), plain)) << method << " " << dtype;
    EXPECT_FALSE(same_bits(WholeTrainings(some, context, method, dtype).undisturbed(), plain)) << method << " " << dtype;
  }
}

/// Killed at any step, the training ends in the same bits; full and LoRA, in float32 and with float32 masters of bfloat16.
inline void expect_resumes_to_the_same_bits(const WholeTrainings::MakeStage& make, Context& context) {
  for (const auto& [method, dtype] : {std::pair{"full", "float32"}, {"lora", "float32"}, {"full", "bfloat16"}}) {
    WholeTrainings trainings(make, context, method, dtype);
    const Trained undisturbed = trainings.undisturbed();
    ASSERT_EQ(undisturbed.losses.size(), 8U);
    for (const std::int64_t step : {2, 4, 7, 8}) {
      const Trained resumed = trainings.killed_after(step);
      EXPECT_TRUE(same_bits(resumed, undisturbed)) << method << " " << dtype << ", killed after step " << step;
      EXPECT_EQ(resumed.steps_made, 8 - (step - 1));  // the step that was under way is made again, those before it are not
    }
  }
}

/// In bfloat16 losses and the last step's gradient stay close to those in float32.
inline void expect_bfloat16_stays_close(const WholeTrainings::MakeStage& make, Context& context, double loss_tolerance,
                                        double least_cosine) {
  const Trained exact = WholeTrainings(make, context, "full", "float32").undisturbed();
  const Trained rounded = WholeTrainings(make, context, "full", "bfloat16").undisturbed();
  ASSERT_EQ(exact.losses.size(), rounded.losses.size());
  for (std::size_t i = 0; i < exact.losses.size(); ++i) EXPECT_NEAR(rounded.losses[i], exact.losses[i], loss_tolerance) << i;
  EXPECT_GT(cosine_of(rounded.last_gradient, exact.last_gradient), least_cosine);
  EXPECT_NEAR(length_of(rounded.last_gradient) / length_of(exact.last_gradient), 1, 0.1);
}

}  // namespace holdfast::fixtures
