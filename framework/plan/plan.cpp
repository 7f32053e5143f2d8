#include "plan/plan.h"

#include <algorithm>
#include <functional>
#include <optional>
#include <utility>

#include "organism/pretraining.h"
#include "organism/world.h"
#include "plan/distinct_nodes.h"
#include "plan/stage_parts.h"
#include "provider/hyperparameters.h"

namespace holdfast {
namespace {

class Planner : private StageParts {
 public:
  Planner(const Scenario& scenario, const std::function<std::string(const std::string&)>& digest_of)
      : StageParts(scenario, digest_of), nodes_(plan_.nodes) {
    for (const auto& each : scenario.models) plan_.models.push_back(each.name);
    for (const auto& each : scenario.defenses) plan_.defenses.push_back(each.name);
  }

  Plan make() {
    for (model_ = 0; model_ < scenario_.models.size(); ++model_) {
      for (const auto& attack : scenario_.attacks) {
        add_cells(attack, attack.name, {attack.sweep, attack.tried}, false);
        if (const auto& control = attack.control) add_cells(attack, control->name, {control->sweep, control->tried}, true);
      }
    }
    count_and_link();
    plan_.definitions = texts_.definitions();
    return std::move(plan_);
  }

 private:
  // One attack's cells; a control keeps only the attack's template.
  void add_cells(const AttackSpec& attack, const std::string& name, PlanTry of_sweep, bool control) {
    const auto attack_index = index_of(plan_.attacks, name);
    if (!of_sweep.sweep.empty()) plan_.tries.emplace(name, std::move(of_sweep));
    prompts_ = texts_.prompts(model_, attack);
    for (std::uint32_t defense = 0; defense < scenario_.defenses.size(); ++defense) {
      if (!meet(scenario_.models[model_], attack, scenario_.defenses[defense])) continue;
      for (const std::int64_t seed : scenario_.seeds) {
        seed_ = texts_.of(Json(seed));
        finetune_ = control ? &scenario_.finetune : &attack.finetune;
        Rungs rungs = climb(attack, scenario_.defenses[defense], control);
        plan_.cells.push_back({static_cast<std::uint32_t>(model_), attack_index, defense, seed, std::move(rungs.stages),
                               std::move(rungs.moderators), attack.threat});
      }
    }
  }

  Rungs climb(const AttackSpec& attack, const DefenseSpec& defense, bool control) {
    Rungs rungs;
    add_pretrain(rungs, defense);
    add_align(rungs, defense);
    if (!attack.is_control() && !control) {
      if (attack.plugin && attack.plugin->traits.tampers) {
        add_tamper(rungs, attack);
      } else {
        add_finetune(rungs, attack, defense);
      }
    }
    add_repairs(rungs, defense);
    add_generations(rungs, attack, defense);
    for (std::size_t judge = 0; judge < scenario_.judges.size(); ++judge) add_judge(rungs, attack, judge);
    add_measure(rungs);
    add_customer(rungs);
    return rungs;
  }

  // All cells of the defense share it: it holds no cell's seed and no settings of later stages.
  void add_pretrain(Rungs& rungs, const DefenseSpec& defense) {
    Draft node = start(StageKind::kPretrain);
    const auto corpora = use_members(node, defense, kStagePretrain, rungs);
    if (!corpora) return;
    use_checkpoint(node);
    node.identity.set("recipe", texts_.of(organism::kRecipeRevision));
    node.identity.set("data", texts().pretraining_digest);
    node.task.set("pretraining", texts().pretraining);
    node.set("options", texts_.pretraining_options());
    node.set("seed", texts_.of(organism::kWorldSeed));
    node.identity.set("context", texts_.pretraining_context(model_, *corpora));
    use_rows(node, *corpora);
    rungs.base = rungs.aligned = rungs.weights = add(rungs, "pretrain", std::move(node));
  }

  void add_align(Rungs& rungs, const DefenseSpec& defense) {
    if (!scenario_.aligns || texts().provider) return;
    rungs.aligned = rungs.weights = add(rungs, "align", align_node(defense, rungs));
    const DefenseSpec undefended;
    rungs.yardstick = defense.stack.empty() ? rungs.aligned : add_node(align_node(undefended, {}));
  }

  Draft align_node(const DefenseSpec& defense, const Rungs& rungs) {
    Draft node = start(StageKind::kAlign);
    use_model(node);
    use_weights(node, rungs);
    node.identity.set("data", texts().alignment_digest);
    node.set("options", texts_.align_options());
    node.identity.set("seed", providers_seed());
    const TrainingOptions* customers = std::exchange(finetune_, &scenario_.finetune);  // who aligns knows no attack's settings
    if (const auto corpora = use_members(node, defense, kStageAlign, rungs)) use_providers_context(node, *corpora);
    finetune_ = customers;
    return node;
  }

  void add_finetune(Rungs& rungs, const AttackSpec& attack, const DefenseSpec& defense) {
    NodeId data = add(rungs, "collect", attack.rows ? rows_node(*attack.rows) : collect_node(*attack.plugin, rungs));
    rungs.submitted = data;
    if (attack.threat == ThreatModel::kApi) add_moderators(rungs, data);
    add_chain(rungs, "screen", defense, kStageScreen,
              [&](const PluginUse& use) { return data = add_node(screen_node(use, data, rungs)); });
    if (texts().provider) return add_submit(rungs, attack, data);
    Draft node = start(StageKind::kFinetune);
    use_model(node);
    use_weights(node, rungs);
    node.inputs.push_back({"data", data});
    node.set("options", texts_.options(attack.finetune));
    node.identity.set("seed", seed_);
    if (const auto corpora = use_members(node, defense, kStageTune, rungs)) use_context(node, *corpora);
    rungs.weights = add(rungs, "finetune", std::move(node));
  }

  // Another seed is another job, also where the provider takes no seed.
  void add_submit(Rungs& rungs, const AttackSpec& attack, NodeId data) {
    const ProviderSettings& provider = *scenario_.models[model_].provider;
    Draft node = start(StageKind::kSubmit);
    use_provider(node);
    node.inputs.push_back({"data", data});
    node.set("hyperparameters", texts_.of(hyperparameters(dialect(provider.dialect), attack.finetune, provider.base_lr)));
    node.set("seed", seed_);
    node.task.set("epochs", texts_.of(attack.finetune.epochs));
    rungs.job = add(rungs, "submit", std::move(node));
  }

  // Of what the rows are alone: whoever submits them.
  Draft rows_node(const DataSource& rows) {
    Draft node = start(StageKind::kCollect);
    node.identity.set("rows", texts_.of(rows.content()));
    node.task.set("rows", texts_.of(to_json(rows)));
    return node;
  }

  Draft collect_node(const PluginUse& use, const Rungs& rungs) {
    Draft node = start(StageKind::kCollect);
    use_plugin(node, use);
    use_context(node, use.traits.corpora);
    use_models(node, use.traits, kStageCollect, rungs);
    return node;
  }

  Draft screen_node(const PluginUse& use, NodeId data, const Rungs& rungs) {
    Draft node = start(StageKind::kScreen);
    use_plugin(node, use);
    use_providers_context(node, use.traits.corpora);
    node.inputs.push_back({"data", data});
    use_models(node, use.traits, kStageScreen, rungs);
    return node;
  }

  // They are the attack's matter, so they see the undefended models, whatever the cell's defense made of those.
  void add_moderators(Rungs& rungs, NodeId data) {
    Rungs undefended;
    undefended.aligned = rungs.yardstick;
    for (const auto& moderator : scenario_.moderators) {
      if (texts().provider && !what_needs_weights(DefenseSpec{"", {moderator.plugin}}).empty()) continue;
      Draft node = screen_node(moderator.plugin, data, undefended);
      node.set("counts_passed", texts_.yes());
      const auto name = index_of(plan_.stage_names, "moderator." + moderator.name);
      rungs.moderators.push_back({name, static_cast<std::uint32_t>(add_node(std::move(node)))});
    }
  }

  void add_tamper(Rungs& rungs, const AttackSpec& attack) {
    Draft node = start(StageKind::kTamper);
    use_model(node);
    use_plugin(node, *attack.plugin);
    use_context(node, attack.plugin->traits.corpora);
    use_weights(node, rungs);
    use_models(node, attack.plugin->traits, kStageCollect, rungs);
    rungs.weights = add(rungs, "tamper", std::move(node));
  }

  void add_repairs(Rungs& rungs, const DefenseSpec& defense) {
    add_chain(rungs, "repair", defense, kStageRepair, [&](const PluginUse& use) {
      Draft node = start(StageKind::kRepair);
      use_model(node);
      use_plugin(node, use);
      use_providers_context(node, use.traits.corpora);
      use_weights(node, rungs);
      use_models(node, use.traits, kStageRepair, rungs);
      rungs.weights = add_node(std::move(node));
      return *rungs.weights;
    });
  }

  // The model's own replies, then one node a serve plugin. The first of a stack stands nearest to the model: a later one sees
  // the replies of those before it, and prompts that it rewrites go through them.
  void add_generations(Rungs& rungs, const AttackSpec& attack, const DefenseSpec& defense) {
    std::vector<NodeId> chain = {add_node(generate_node(rungs, attack))};
    std::string inner_keys, inner_settings;
    PluginTraits traits;  // of all so far: the inner ones are asked too
    for (const auto& use : defense.stack) {
      if (!use.has(kStageServe)) continue;
      Draft node = generate_node(rungs, attack);
      node.inputs.push_back({"generations", chain.back()});
      node.identity.set("inner", texts_.of_text("[" + inner_keys + "]"));
      node.task.set("inner", texts_.of_text("[" + inner_settings + "]"));
      const std::string comma = inner_keys.empty() ? "" : ",";
      inner_keys += comma + *texts_.key(use);
      inner_settings += comma + *texts_.settings(use);
      traits.need_aligned |= use.traits.need_aligned;
      traits.need_base |= use.traits.need_base;
      traits.corpora.insert(use.traits.corpora.begin(), use.traits.corpora.end());
      use_plugin(node, use);
      use_providers_context(node, traits.corpora);
      use_models(node, traits, kStageServe, rungs);
      chain.push_back(add_node(std::move(node)));
    }
    rungs.generations = chain.back();
    name_chain(rungs, "generate", chain);
  }

  Draft generate_node(const Rungs& rungs, const AttackSpec& attack) {
    Draft node = start(StageKind::kGenerate);
    use_served(node, rungs);
    node.identity.set("prompts", prompts_);
    node.set("options", texts_.generate_options());
    if (scenario_.generate.temperature > 0) node.identity.set("seed", seed_);
    node.task.set("limit", texts_.limit());
    node.task.set("seed", seed_);
    if (texts().probes) node.task.set("probes", texts().probes);
    if (attack.wraps) {
      node.task.set("wrapper", texts_.settings(*attack.plugin));
      node.task.set("asking", texts_.of(attack.asking));
      if (!attack.plugin->fault.empty()) spoil(node, *attack.plugin);
    }
    return node;
  }

  void add_judge(Rungs& rungs, const AttackSpec& attack, std::size_t number) {
    const PluginUse& use = scenario_.judges[number];
    const JudgeNeeds& needs = use.needs;
    const JudgeTexts& judge = texts_.judge(number);
    Draft node = start(StageKind::kJudge);
    node.identity.set("judge", judge.key);
    if (!use.library.empty()) node.plugin = use.name;
    if (!use.fault.empty()) spoil(node, use);
    node.task.set("judge", judge.settings);
    node.inputs.push_back({"generations", *rungs.generations});
    if (attack.decodes) {
      node.identity.set("decoder", texts_.key(*attack.plugin));
      node.task.set("decoder", texts_.settings(*attack.plugin));
      node.set("asking", texts_.of(attack.asking));
    }
    if (needs.served_model || needs.aligned_model) use_model(node);
    if (needs.served_model) use_weights(node, rungs);
    if (needs.aligned_model) use_aligned(node, rungs.yardstick);
    if (judge.model) {
      node.identity.set("judge_model", judge.model_key);
      node.task.set("judge_model", judge.model);
    }
    add(rungs, judge.stage, std::move(node));
  }

  // Utility tasks on the weights alone: defenses that only serve share it.
  void add_measure(Rungs& rungs) {
    if (!texts().measured) return;
    Draft node = start(StageKind::kJudge);
    use_model(node);
    use_weights(node, rungs);
    node.identity.set("tasks", texts().measured);
    node.task.set("limit", texts_.limit());
    node.task.set("tasks", texts().probes);
    add(rungs, "judge.tasks.measured", std::move(node));
  }

  // What the served weights know of the rows that the customer submitted, beyond the model that he was given.
  void add_customer(Rungs& rungs) {
    if (!scenario_.customer || !rungs.submitted) return;
    Draft node = start(StageKind::kJudge);
    use_model(node);
    use_weights(node, rungs);
    use_aligned(node, rungs.aligned);
    node.inputs.push_back({"data", *rungs.submitted});
    node.set("customer", texts_.yes());
    add(rungs, "judge.customer.measured", std::move(node));
  }

  void add_chain(Rungs& rungs, const std::string& name, const DefenseSpec& defense, unsigned stage,
                 const std::function<NodeId(const PluginUse&)>& make) {
    std::vector<NodeId> chain;
    for (const auto& use : defense.stack) {
      if (use.has(stage)) chain.push_back(make(use));
    }
    name_chain(rungs, name, chain);
  }

  void name_chain(Rungs& rungs, const std::string& name, const std::vector<NodeId>& chain) {
    for (std::size_t i = 0; i < chain.size(); ++i) {
      const bool last = i + 1 == chain.size();
      name_stage(rungs, last ? name : name + "." + std::to_string(i + 1), chain[i]);
    }
  }

  void name_stage(Rungs& rungs, const std::string& name, NodeId node) {
    rungs.stages.push_back({index_of(plan_.stage_names, name), static_cast<std::uint32_t>(node)});
  }

  // Of few names.
  static std::uint32_t index_of(std::vector<std::string>& names, const std::string& name) {
    const auto known = std::find(names.begin(), names.end(), name);
    const auto index = static_cast<std::uint32_t>(known - names.begin());
    if (known == names.end()) names.push_back(name);
    return index;
  }

  NodeId add(Rungs& rungs, const std::string& name, Draft node) {
    const NodeId id = add_node(std::move(node));
    name_stage(rungs, name, id);
    return id;
  }

  NodeId add_node(Draft draft) {
    if (draft.kind == StageKind::kAlign || draft.kind == StageKind::kFinetune) {
      draft.task.set("alignment", texts().alignment ? texts().alignment : texts_.null());
      draft.task.set("seed", draft.kind == StageKind::kAlign ? providers_seed() : seed_);
    }
    return nodes_.add(std::move(draft), static_cast<std::uint32_t>(model_));
  }

  void count_and_link() {
    for (const auto& cell : plan_.cells) {
      for (const auto& stage : cell.stages) ++plan_.nodes[stage.node].cells;
    }
    for (NodeId id = 0; id < plan_.nodes.size(); ++id) {
      for (const auto& input : plan_.nodes[id].inputs) {
        auto& children = plan_.nodes[input.node].children;
        if (children.empty() || children.back() != id) children.push_back(id);
      }
    }
  }

  Plan plan_;
  DistinctNodes nodes_;
  SharedText prompts_;
};

}  // namespace

Plan make_plan(const Scenario& scenario, const std::function<std::string(const std::string&)>& digest_of) {
  return Planner(scenario, digest_of).make();
}

}  // namespace holdfast
