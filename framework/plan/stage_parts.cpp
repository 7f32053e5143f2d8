#include "plan/stage_parts.h"

#include <algorithm>

namespace holdfast {

Draft StageParts::start(StageKind kind) const {
  Draft node{kind};
  node.task.set("folder", texts_.folder());
  return node;
}

void StageParts::use_checkpoint(Draft& node) const {
  node.set("base", texts().base);
  node.task.set("model", texts().model);
}

void StageParts::use_model(Draft& node) const {
  use_checkpoint(node);
  node.identity.set("numerics", texts().numerics);
}

void StageParts::use_weights(Draft& node, const Rungs& rungs) {
  if (rungs.weights) node.inputs.push_back({"weights", *rungs.weights});
}

void StageParts::use_provider(Draft& node) const {
  node.identity.set("provider", texts().base);
  node.task.set("provider", texts().provider);
}

void StageParts::use_served(Draft& node, const Rungs& rungs) const {
  if (texts().provider) {
    use_provider(node);
    if (rungs.job) node.inputs.push_back({"job", *rungs.job});
  } else {
    use_model(node);
    use_weights(node, rungs);
  }
}

void StageParts::use_aligned(Draft& node, const MaybeNode& aligned) const {
  use_model(node);
  node.set("sees_aligned", texts_.yes());
  if (aligned) node.inputs.push_back({"aligned", *aligned});
}

void StageParts::use_models(Draft& node, const PluginTraits& traits, unsigned stage, const Rungs& rungs) const {
  if ((traits.need_aligned & stage) != 0) use_aligned(node, rungs.aligned);
  if ((traits.need_base & stage) != 0) use_base(node, rungs);
}

void StageParts::use_base(Draft& node, const Rungs& rungs) const {
  if (rungs.base) {
    use_model(node);
    node.inputs.push_back({"base", *rungs.base});
    return;
  }
  node.identity.set("base_model", texts().base_model_key);
  node.task.set("base_model", texts().base_model);
}

std::optional<Names> StageParts::use_members(Draft& node, const DefenseSpec& defense, unsigned stage, const Rungs& rungs) {
  std::vector<const PluginUse*> members;
  for (const auto& use : defense.stack) {
    if (use.has(stage)) members.push_back(&use);
  }
  if (members.empty()) return std::nullopt;
  std::string names, keys, settings;
  Names corpora;
  for (const PluginUse* use : members) {
    use_plugin(node, *use);
    corpora.insert(use->traits.corpora.begin(), use->traits.corpora.end());
    names += (names.empty() ? "" : " + ") + use->name;
    keys += (keys.empty() ? "" : ",") + *texts_.key(*use);
    settings += (settings.empty() ? "" : ",") + *texts_.settings(*use);
  }
  const auto needs_base = [&](const PluginUse* use) { return (use->traits.need_base & stage) != 0; };
  if (std::any_of(members.begin(), members.end(), needs_base)) use_base(node, rungs);
  if (members.size() == 1) return corpora;
  node.plugin = names;
  node.identity.erase("plugin");
  node.task.erase("plugin");
  node.identity.set("plugins", texts_.of_text("[" + keys + "]"));
  node.task.set("plugins", texts_.of_text("[" + settings + "]"));
  return corpora;
}

void StageParts::spoil(Draft& node, const PluginUse& use) {
  node.plugin = use.name;
  node.fault = use.fault;
  node.identity.set("fault", texts_.of(Json(use.fault)));
}

void StageParts::use_plugin(Draft& node, const PluginUse& use) {
  node.plugin = use.name;
  if (!use.fault.empty()) spoil(node, use);
  node.identity.set("plugin", texts_.key(use));
  node.task.set("plugin", texts_.settings(use));
}

void StageParts::use_context(Draft& node, const Names& corpora) {
  node.identity.set("context", texts_.context(model_, *finetune_, corpora));
  node.set("seed", seed_);
  node.task.set("align_options", texts_.align_options());
  node.task.set("finetune_options", texts_.options(*finetune_));
  use_rows(node, corpora);
}

void StageParts::use_providers_context(Draft& node, const Names& corpora) {
  use_context(node, corpora);
  node.set("seed", providers_seed());
}

SharedText StageParts::providers_seed() { return scenario_.align_seed ? texts_.of(Json(*scenario_.align_seed)) : seed_; }

void StageParts::use_rows(Draft& node, const Names& corpora) {
  node.task.set("corpora", texts_.corpora(model_, corpora));
  if (texts().alignment) node.task.set("alignment", texts().alignment);
}

}  // namespace holdfast
