// A defense: one or more of the five stages a provider owns.
#pragma once

#include <holdfast/context.h>
#include <holdfast/plugin.h>

namespace HOLDFAST_PUBLIC holdfast {

/// A training stage replaces one step of the shared loop.
class TrainingStage {
 public:
  virtual ~TrainingStage();
  /// Before the first step: may change the options and the rows. Default: leaves both.
  virtual void prepare(TrainingOptions& options, Dataset& data, Context& context);
  /// Fills the gradients for one (micro-)batch and returns the loss to log. They start at zero for each optimizer step.
  /// The plain step is: auto loss = trainer.loss(batch); trainer.backward(loss); return loss.item<double>();
  virtual double step(Trainer& trainer, const Batch& batch) = 0;
};

/// How the provider aligns the model.
class AlignStage : public TrainingStage {
 public:
  ~AlignStage() override;
};

/// How the customer's rows are trained on.
class TuneStage : public TrainingStage {
 public:
  ~TuneStage() override;
};

/// Drops, rewrites or adds rows of what the customer submitted.
class ScreenStage {
 public:
  virtual ~ScreenStage();
  virtual Dataset screen(Dataset data, Context& context) = 0;
  /// Whether screen() asks for context.aligned_model(); its key then depends on those weights. Default: no.
  virtual bool uses_aligned_model() const;
};

/// Changes the tuned weights before they are served.
class RepairStage {
 public:
  virtual ~RepairStage();
  virtual void repair(Model& model, Context& context) = 0;
  virtual bool uses_aligned_model() const;
};

/// Stands between the user and the served model. Both functions see all exchanges at once and keep their order and number.
class ServeStage {
 public:
  virtual ~ServeStage();
  /// May rewrite prompts, or answer without the model. Default: leaves them.
  virtual void before_generation(std::vector<Exchange>& exchanges, Context& context);
  /// May rewrite replies. Default: leaves them.
  virtual void after_generation(std::vector<Exchange>& exchanges, Context& context);
  virtual bool uses_aligned_model() const;
};

/// One constructed defense, seen through each stage it implements (null where it does not).
struct DefenseStages {
  std::shared_ptr<void> owner;
  AlignStage* align = nullptr;
  ScreenStage* screen = nullptr;
  TuneStage* tune = nullptr;
  RepairStage* repair = nullptr;
  ServeStage* serve = nullptr;
};

template <typename Stage, typename Class>
constexpr bool kImplements = std::is_base_of_v<Stage, Class>;

template <typename Class>
constexpr unsigned stages_of() {
  return (kImplements<AlignStage, Class> ? kStageAlign : 0) | (kImplements<ScreenStage, Class> ? kStageScreen : 0) |
         (kImplements<TuneStage, Class> ? kStageTune : 0) | (kImplements<RepairStage, Class> ? kStageRepair : 0) |
         (kImplements<ServeStage, Class> ? kStageServe : 0);
}

template <typename Class>
DefenseStages make_defense(Params& params) {
  auto made = std::make_shared<Class>(params);
  DefenseStages stages{made};
  if constexpr (kImplements<AlignStage, Class>) stages.align = made.get();
  if constexpr (kImplements<ScreenStage, Class>) stages.screen = made.get();
  if constexpr (kImplements<TuneStage, Class>) stages.tune = made.get();
  if constexpr (kImplements<RepairStage, Class>) stages.repair = made.get();
  if constexpr (kImplements<ServeStage, Class>) stages.serve = made.get();
  return stages;
}

}  // namespace holdfast

/// The last line of a defense's source. HOLDFAST_DEFENSE(Class, "name", revision, "Summary."): the stages are found by base
/// class; bump the revision whenever behaviour changes, it is part of the stage keys.
#define HOLDFAST_DEFENSE(Class, name, revision, summary)                                                                     \
  HOLDFAST_PLUGIN_ENTRY(([] {                                                                                                \
    static_assert(holdfast::stages_of<Class>() != 0,                                                                         \
                  #Class " implements no stage: derive from AlignStage, ScreenStage, TuneStage, RepairStage or ServeStage"); \
    return holdfast::Plugin{holdfast::PluginKind::kDefense, name, revision, summary, holdfast::stages_of<Class>(), nullptr,  \
                            &holdfast::make_defense<Class>};                                                                 \
  }()))
