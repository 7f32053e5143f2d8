// What goes into the documents of a plan's stages.
#pragma once

#include <functional>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "plan/distinct_nodes.h"
#include "plan/scenario_texts.h"

namespace holdfast {

using NodeId = std::size_t;
using MaybeNode = std::optional<NodeId>;
using Names = std::set<std::string>;

/// The rungs of a cell while it is put together.
struct Rungs {
  MaybeNode base;         // weights after pretrain; none: the checkpoint's
  MaybeNode aligned;      // weights after align; none: the base
  MaybeNode yardstick;    // weights after the undefended align; none: the base
  MaybeNode weights;      // weights that are served
  MaybeNode submitted;    // the customer's rows, as he gave them
  MaybeNode job;          // at a provider
  MaybeNode generations;  // of the last serve stage
  std::vector<CellStage> stages;
  std::vector<CellStage> moderators;
};

/// Puts parts of the scenario into drafts: for the model, the seed and the customer's options that its owner is at.
class StageParts {
 protected:
  StageParts(const Scenario& scenario, const std::function<std::string(const std::string&)>& digest_of)
      : scenario_(scenario), texts_(scenario, digest_of) {}

  Draft start(StageKind kind) const;
  void use_checkpoint(Draft& node) const;
  void use_model(Draft& node) const;
  static void use_weights(Draft& node, const Rungs& rungs);
  void use_provider(Draft& node) const;
  /// What answers: the weights that are served, or a provider's model, as the cell's job left it.
  void use_served(Draft& node, const Rungs& rungs) const;
  void use_aligned(Draft& node, const MaybeNode& aligned) const;
  /// Models of other roles that the stage asks for.
  void use_models(Draft& node, const PluginTraits& traits, unsigned stage, const Rungs& rungs) const;
  void use_base(Draft& node, const Rungs& rungs) const;
  /// Members of a stack that share a training; one alone is the node's plugin. A tune stage starts from the aligned model.
  /// Gives the corpora that they name; none: there are no members.
  std::optional<Names> use_members(Draft& node, const DefenseSpec& defense, unsigned stage, const Rungs& rungs);
  /// The stage will not run, and is no other's equal.
  void spoil(Draft& node, const PluginUse& use);
  void use_plugin(Draft& node, const PluginUse& use);
  /// A plugin may ask for anything in here, so all of it decides the result. `corpora`: those of all that share the stage.
  void use_context(Draft& node, const Names& corpora);
  /// The same of a stage that is the provider's, and not his customer's.
  void use_providers_context(Draft& node, const Names& corpora);
  /// What a provider draws with: one seed for all cells, where [align] has one.
  SharedText providers_seed();
  void use_rows(Draft& node, const Names& corpora);

  const ModelTexts& texts() const { return texts_.model(model_); }

  const Scenario& scenario_;
  ScenarioTexts texts_;
  std::size_t model_ = 0;
  SharedText seed_;
  const TrainingOptions* finetune_ = nullptr;
};

}  // namespace holdfast
