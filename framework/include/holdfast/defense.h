// A defense: one or more of the six stages a provider owns.
#pragma once

#include <holdfast/context.h>
#include <holdfast/plugin.h>

namespace HOLDFAST_PUBLIC holdfast {

/// A training stage replaces one optimizer step of the shared loop. Members of a defense's stack may share a stage. Then
/// `prepare`, `begin` and `finish` are called in the order of the stack, each seeing what the one before left, and steps are
/// nested: the last member is the outermost and pulls the stage's rows; what its Trainer::backward(batches) does is one step of
/// the member before it, whose rows() give just these batches, once, and whose loss() is the loss it was handed. The first
/// member's backward is autograd's. So in the stack (vaccine, booster) Booster draws, and the gradient on the stage's rows in
/// its rule is Vaccine's.
class TrainingStage {
 public:
  virtual ~TrainingStage();
  /// Before anything else: may change the options and the rows. Default: leaves both.
  virtual void prepare(TrainingOptions& options, Dataset& data, Context& context);
  /// Before the first step, with the weights that training starts from: further streams, references, anchors, sweeps over data.
  /// Is called again when a stopped training goes on, with the same weights. Default: nothing.
  virtual void begin(Trainer& trainer);
  /// Leaves the gradients of one optimizer step, which start at zero, and returns the loss to log. The default is plain
  /// training: return trainer.backward(trainer.rows().next());
  virtual double step(Trainer& trainer);
  /// After the last step: the weights may still be changed (Panacea releases moved ones). Default: nothing.
  virtual void finish(Trainer& trainer);
  /// Reads or writes all that the stage keeps between two steps and begin() does not make anew, and returns true; a stopped
  /// training then goes on to the same bits. Default: false, and a stopped training begins anew.
  virtual bool archive(Archive& archive);
  /// Whether steps pull other batches than one of rows() each (Lisa's two states). Such a member must be its stack's last.
  /// Default: no.
  virtual bool draws_itself() const;
  /// kNeedsBase, kNeedsAligned: what is asked of the context. An align stage cannot need the aligned model, nor a
  /// pretrain stage any. Default: none.
  virtual unsigned needs() const;
};

/// How the provider makes the base model, for models that are pre-trained here (the organism). `prepare` may drop, rewrite and
/// add rows of the pre-training corpus (Deep Ignorance, arXiv 2508.06601), `step` may learn them otherwise (conditional
/// pre-training, arXiv 2302.08582). Training starts from random weights, once for all attacks, seeds and settings of later
/// stages: Context::seed is then the world's, and the settings of [align] and [finetune] cannot be asked for.
class PretrainStage : public TrainingStage {
 public:
  ~PretrainStage() override;
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
  /// kNeedsAligned, kNeedsBase: what is asked of the context; the stage's key then depends on those weights. Default: none.
  virtual unsigned needs() const;
};

/// Changes the tuned weights before they are served.
class RepairStage {
 public:
  virtual ~RepairStage();
  virtual void repair(Model& model, Context& context) = 0;
  virtual unsigned needs() const;
};

/// Stands between the user and the served model. Both functions see all exchanges at once and keep their order and number.
class ServeStage {
 public:
  virtual ~ServeStage();
  /// May rewrite prompts, or answer without the model. Default: leaves them.
  virtual void before_generation(std::vector<Exchange>& exchanges, Context& context);
  /// May rewrite replies. Default: leaves them.
  virtual void after_generation(std::vector<Exchange>& exchanges, Context& context);
  virtual unsigned needs() const;
};

/// One constructed defense, seen through each stage it implements (null where it does not).
struct DefenseStages {
  std::shared_ptr<void> owner;
  PretrainStage* pretrain = nullptr;
  AlignStage* align = nullptr;
  ScreenStage* screen = nullptr;
  TuneStage* tune = nullptr;
  RepairStage* repair = nullptr;
  ServeStage* serve = nullptr;
};

/// Whether a defense's class takes part in that stage.
template <typename Stage, typename Class>
constexpr bool kImplements = std::is_base_of_v<Stage, Class>;

/// Plugin::stages of a defense's class.
template <typename Class>
constexpr unsigned stages_of() {
  return (kImplements<PretrainStage, Class> ? kStagePretrain : 0) | (kImplements<AlignStage, Class> ? kStageAlign : 0) |
         (kImplements<ScreenStage, Class> ? kStageScreen : 0) | (kImplements<TuneStage, Class> ? kStageTune : 0) |
         (kImplements<RepairStage, Class> ? kStageRepair : 0) | (kImplements<ServeStage, Class> ? kStageServe : 0);
}

/// Plugin::make_defense of a defense's class.
template <typename Class>
DefenseStages make_defense(Params& params) {
  const auto made = make_plugin<Class, Class>(params);
  DefenseStages stages{made};
  if constexpr (kImplements<PretrainStage, Class>) stages.pretrain = made.get();
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
#define HOLDFAST_DEFENSE(Class, name, revision, summary)                                                                    \
  HOLDFAST_PLUGIN_ENTRY(([] {                                                                                               \
    static_assert(                                                                                                          \
        holdfast::stages_of<Class>() != 0, #Class                                                                           \
        " implements no stage: derive from PretrainStage, AlignStage, ScreenStage, TuneStage, RepairStage or ServeStage");  \
    return holdfast::Plugin{holdfast::PluginKind::kDefense, name, revision, summary, holdfast::stages_of<Class>(), nullptr, \
                            &holdfast::make_defense<Class>};                                                                \
  }()))
