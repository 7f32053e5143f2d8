#include "plan/plan.h"

#include <holdfast/error.h>

#include <algorithm>
#include <functional>
#include <set>
#include <utility>

#include "base/digest.h"
#include "data/formats.h"
#include "learn/device.h"
#include "learn/training.h"
#include "learn/training_settings.h"
#include "store/weights_ref.h"

namespace holdfast {
namespace {

using NodeId = std::size_t;
using MaybeNode = std::optional<NodeId>;

// A rung of a cell while it is put together.
struct Rungs {
  MaybeNode aligned;      // weights after align; none: the base
  MaybeNode yardstick;    // weights after the undefended align; none: the base
  MaybeNode weights;      // weights that are served
  MaybeNode generations;  // of the last serve stage
  std::vector<std::pair<std::string, NodeId>> stages;
};

class Planner {
 public:
  Planner(const Scenario& scenario, const std::function<std::string(const std::string&)>& digest_of) : scenario_(scenario) {
    for (const auto& each : scenario.models) digests_.push_back(digest_of(each.source));
    for (const auto& judge : scenario.judges) {
      judge_digests_.push_back(judge.needs.model.empty() ? "" : digest_of(judge.needs.model));
    }
  }

  Plan make() {
    for (model_ = 0; model_ < scenario_.models.size(); ++model_) {
      for (const auto& attack : scenario_.attacks) {
        add_cells(attack, attack.name, false);
        if (attack.wraps) add_cells(attack, "none@" + attack.name, true);
      }
    }
    count_and_link();
    return std::move(plan_);
  }

 private:
  // One attack's cells; a control keeps only the attack's template.
  void add_cells(const AttackSpec& attack, const std::string& name, bool control) {
    for (const auto& defense : scenario_.defenses) {
      for (const std::int64_t seed : scenario_.seeds) {
        seed_ = seed;
        finetune_ = control ? &scenario_.finetune : &attack.finetune;
        plan_.cells.push_back({model().name, name, defense.name, seed, cell_stages(attack, defense, control)});
      }
    }
  }

  std::vector<std::pair<std::string, NodeId>> cell_stages(const AttackSpec& attack, const DefenseSpec& defense, bool control) {
    Rungs rungs;
    add_align(rungs, defense);
    if (attack.plugin && !control) add_finetune(rungs, attack, defense);
    add_repairs(rungs, defense);
    add_generations(rungs, attack, defense);
    for (std::size_t judge = 0; judge < scenario_.judges.size(); ++judge) add_judge(rungs, judge);
    add_measure(rungs);
    return std::move(rungs.stages);
  }

  void add_align(Rungs& rungs, const DefenseSpec& defense) {
    if (!scenario_.aligns) return;
    rungs.aligned = rungs.weights = add(rungs, "align", align_node(defense));
    const DefenseSpec undefended;
    rungs.yardstick = defense.stack.empty() ? rungs.aligned : add_node(align_node(undefended));
  }

  PlanNode align_node(const DefenseSpec& defense) {
    PlanNode node = start(StageKind::kAlign);
    use_model(node);
    node.identity["data"] = model().alignment->digest;
    node.identity["options"] = to_json(scenario_.align);
    node.identity["seed"] = seed_;
    node.task["options"] = to_json(scenario_.align);
    const TrainingOptions* customers = std::exchange(finetune_, &scenario_.finetune);  // who aligns knows no attack's settings
    for (const auto& use : defense.stack) {
      if (use.has(kStageAlign)) use_plugin(node, use);
    }
    finetune_ = customers;
    return node;
  }

  void add_finetune(Rungs& rungs, const AttackSpec& attack, const DefenseSpec& defense) {
    PlanNode collect = start(StageKind::kCollect);
    use_plugin(collect, *attack.plugin);
    NodeId data = add(rungs, "collect", std::move(collect));
    add_chain(rungs, "screen", defense, kStageScreen, [&](const PluginUse& use) {
      PlanNode node = start(StageKind::kScreen);
      use_plugin(node, use);
      node.inputs.push_back({"data", data});
      if (use.screen_uses_aligned) use_aligned(node, rungs.aligned);
      return data = add_node(std::move(node));
    });
    PlanNode node = start(StageKind::kFinetune);
    use_model(node);
    use_weights(node, rungs);
    node.inputs.push_back({"data", data});
    node.identity["options"] = to_json(attack.finetune);
    node.identity["seed"] = seed_;
    node.task["options"] = to_json(attack.finetune);
    for (const auto& use : defense.stack) {
      if (use.has(kStageTune)) use_plugin(node, use);
    }
    rungs.weights = add(rungs, "finetune", std::move(node));
  }

  void add_repairs(Rungs& rungs, const DefenseSpec& defense) {
    add_chain(rungs, "repair", defense, kStageRepair, [&](const PluginUse& use) {
      PlanNode node = start(StageKind::kRepair);
      use_model(node);
      use_plugin(node, use);
      use_weights(node, rungs);
      if (use.repair_uses_aligned) use_aligned(node, rungs.aligned);
      rungs.weights = add_node(std::move(node));
      return *rungs.weights;
    });
  }

  // The model's own replies, then one node a serve plugin. The first of a stack stands nearest to the model: a later one sees
  // the replies of those before it, and prompts that it rewrites go through them.
  void add_generations(Rungs& rungs, const AttackSpec& attack, const DefenseSpec& defense) {
    std::vector<NodeId> chain = {add_node(generate_node(rungs, attack))};
    std::vector<const PluginUse*> inner;
    for (const auto& use : defense.stack) {
      if (!use.has(kStageServe)) continue;
      PlanNode node = generate_node(rungs, attack);
      node.inputs.push_back({"generations", chain.back()});
      node.identity["inner"] = node.task["inner"] = Json::array();
      for (const auto* earlier : inner) {
        node.identity["inner"].push_back(key_of(*earlier));
        node.task["inner"].push_back(settings_of(*earlier));
      }
      inner.push_back(&use);
      use_plugin(node, use);
      const bool aligned = std::any_of(inner.begin(), inner.end(), [](const auto* each) { return each->serve_uses_aligned; });
      if (aligned) use_aligned(node, rungs.aligned);
      chain.push_back(add_node(std::move(node)));
    }
    rungs.generations = chain.back();
    name_chain(rungs, "generate", chain);
  }

  PlanNode generate_node(const Rungs& rungs, const AttackSpec& attack) {
    PlanNode node = start(StageKind::kGenerate);
    use_model(node);
    use_weights(node, rungs);
    node.identity["prompts"] = asked_digest(attack);
    node.identity["options"] = to_json(scenario_.generate);
    if (scenario_.generate.temperature > 0) node.identity["seed"] = seed_;
    node.task["options"] = to_json(scenario_.generate);
    node.task["limit"] = scenario_.limit;
    node.task["seed"] = seed_;
    for (const auto& source : model().probes) node.task["probes"].push_back(to_json(source));
    if (attack.wraps) {
      node.task["wrapper"] = settings_of(*attack.plugin);
      if (!attack.plugin->fault.empty()) spoil(node, *attack.plugin);
    }
    return node;
  }

  void add_judge(Rungs& rungs, std::size_t number) {
    const PluginUse& judge = scenario_.judges[number];
    PlanNode node = start(StageKind::kJudge);
    node.identity["judge"] = key_of(judge);
    if (!judge.library.empty()) node.plugin = judge.name;
    if (!judge.fault.empty()) spoil(node, judge);
    node.task["judge"] = settings_of(judge);
    node.inputs.push_back({"generations", *rungs.generations});
    if (judge.needs.served_model || judge.needs.aligned_model) use_model(node);
    if (judge.needs.served_model) use_weights(node, rungs);
    if (judge.needs.aligned_model) use_aligned(node, rungs.yardstick);
    if (!judge.needs.model.empty()) {
      const WeightsRef own{
          judge.needs.model, resolve_device(judge.needs.device).str(), judge.needs.dtype, judge_digests_[number], {}};
      node.identity["judge_model"] = {{"base", own.base}, {"numerics", numerics(own.device, own.dtype)}};
      node.task["judge_model"] = to_json(own);
    }
    std::string name = "judge." + judge.name;
    const auto taken = [&](const auto& stage) { return stage.first == name; };
    for (int n = 2; std::any_of(rungs.stages.begin(), rungs.stages.end(), taken); ++n) {
      name = "judge." + judge.name + "." + std::to_string(n);
    }
    add(rungs, name, std::move(node));
  }

  // Utility tasks on the weights alone: defenses that only serve share it.
  void add_measure(Rungs& rungs) {
    const Dataset& rows = model().probe_rows.measured;
    if (rows.empty()) return;
    PlanNode node = start(StageKind::kJudge);
    use_model(node);
    use_weights(node, rungs);
    Sha256 digest;
    for (const auto& row : rows) {
      const std::string line = canonical(example_to_json(row)) + "\n";
      digest.update(line.data(), line.size());
    }
    node.identity["tasks"] = digest.hex();
    node.task["limit"] = scenario_.limit;
    for (const auto& source : model().probes) node.task["tasks"].push_back(to_json(source));
    add(rungs, "judge.tasks.measured", std::move(node));
  }

  void add_chain(Rungs& rungs, const std::string& name, const DefenseSpec& defense, unsigned stage,
                 const std::function<NodeId(const PluginUse&)>& make) {
    std::vector<NodeId> chain;
    for (const auto& use : defense.stack) {
      if (use.has(stage)) chain.push_back(make(use));
    }
    name_chain(rungs, name, chain);
  }

  static void name_chain(Rungs& rungs, const std::string& name, const std::vector<NodeId>& chain) {
    for (std::size_t i = 0; i < chain.size(); ++i) {
      const bool last = i + 1 == chain.size();
      rungs.stages.emplace_back(last ? name : name + "." + std::to_string(i + 1), chain[i]);
    }
  }

  PlanNode start(StageKind kind) const {
    PlanNode node;
    node.kind = kind;
    node.model = model_;
    node.identity = node.task = Json::object();
    node.task["folder"] = scenario_.folder.string();
    return node;
  }

  void use_model(PlanNode& node) const {
    node.identity["base"] = digests_[model_];
    node.identity["numerics"] = numerics(model().device, model().dtype);
    node.task["model"] = {
        {"source", model().source}, {"device", resolve_device(model().device).str()}, {"dtype", model().dtype}};
    node.task["base"] = digests_[model_];
  }

  static Json numerics(const std::string& device, const std::string& dtype) {
    return {{"dtype", dtype}, {"device", c10::DeviceTypeName(resolve_device(device).type(), true)}};
  }

  void use_weights(PlanNode& node, const Rungs& rungs) const {
    if (rungs.weights) node.inputs.push_back({"weights", *rungs.weights});
  }

  void use_aligned(PlanNode& node, const MaybeNode& aligned) const {
    use_model(node);
    node.identity["sees_aligned"] = true;
    node.task["sees_aligned"] = true;
    if (aligned) node.inputs.push_back({"aligned", *aligned});
  }

  static Json key_of(const PluginUse& use) {
    return {{"name", use.name}, {"revision", use.revision}, {"settings", use.resolved}};
  }

  // The stage will not run, and is no other's equal.
  static void spoil(PlanNode& node, const PluginUse& use) {
    node.plugin = use.name;
    node.fault = use.fault;
    node.identity["fault"] = use.fault;
  }

  // A plugin may ask its context for anything in here, so all of it decides the result.
  void use_plugin(PlanNode& node, const PluginUse& use) const {
    node.plugin = use.name;
    if (!use.fault.empty()) spoil(node, use);
    node.identity["plugin"] = key_of(use);
    node.identity["seed"] = seed_;
    node.task["plugin"] = settings_of(use);
    node.task["seed"] = seed_;
    Json context = {{"align_options", to_json(scenario_.align)}, {"finetune_options", to_json(*finetune_)}};
    node.task["align_options"] = context["align_options"];
    node.task["finetune_options"] = context["finetune_options"];
    node.task["corpora"] = context["corpora"] = Json::object();
    if (model().alignment) {
      context["alignment"] = model().alignment->digest;
      node.task["alignment"] = to_json(*model().alignment);
    }
    for (const auto& [name, source] : model().corpora) {
      context["corpora"][name] = source.digest;
      node.task["corpora"][name] = to_json(source);
    }
    node.identity["context"] = std::move(context);
  }

  // Two attacks that ask alike share their controls.
  std::string asked_digest(const AttackSpec& attack) {
    std::string& digest = prompts_[{model_, attack.asked.empty() ? "" : attack.name}];
    if (digest.empty()) {
      const Dataset& rows = model().probe_rows.asked;
      digest = prompts_digest(rows, attack.asked.empty() ? conversations_of(rows) : attack.asked[model_]);
    }
    return digest;
  }

  NodeId add(Rungs& rungs, const std::string& name, PlanNode node) {
    const NodeId id = add_node(std::move(node));
    rungs.stages.emplace_back(name, id);
    return id;
  }

  NodeId add_node(PlanNode node) {
    if (node.kind == StageKind::kAlign || node.kind == StageKind::kFinetune) {
      node.task["alignment"] = model().alignment ? to_json(*model().alignment) : Json();
      node.task["seed"] = seed_;
    }
    Json inputs = Json::object();
    for (const auto& input : node.inputs) inputs[input.role] = input.node;
    const std::string identity =
        sha256(canonical({{"kind", to_string(node.kind)}, {"identity", node.identity}, {"in", inputs}}));
    const auto [known, fresh] = ids_.emplace(identity, plan_.nodes.size());
    if (fresh) plan_.nodes.push_back(std::move(node));
    return known->second;
  }

  void count_and_link() {
    for (const auto& cell : plan_.cells) {
      for (const auto& [name, node] : cell.stages) ++plan_.nodes[node].cells;
    }
    for (NodeId id = 0; id < plan_.nodes.size(); ++id) {
      for (const auto& input : plan_.nodes[id].inputs) {
        auto& children = plan_.nodes[input.node].children;
        if (children.empty() || children.back() != id) children.push_back(id);
      }
    }
  }

  const ModelSpec& model() const { return scenario_.models[model_]; }

  const Scenario& scenario_;
  std::vector<std::string> digests_;        // of each model's checkpoint
  std::vector<std::string> judge_digests_;  // of each judge's own model; empty where it has none
  Plan plan_;
  std::map<std::string, NodeId> ids_;
  std::map<std::pair<std::size_t, std::string>, std::string> prompts_;
  std::size_t model_ = 0;
  std::int64_t seed_ = 0;
  const TrainingOptions* finetune_ = nullptr;
};

}  // namespace

const StageInput* PlanNode::input(const std::string& role) const {
  const auto found = std::find_if(inputs.begin(), inputs.end(), [&](const StageInput& input) { return input.role == role; });
  return found == inputs.end() ? nullptr : &*found;
}

std::vector<std::size_t> Plan::weights_chain(std::size_t node) const {
  const StageInput* parent = nodes[node].input("weights");
  std::vector<std::size_t> chain = parent == nullptr ? std::vector<std::size_t>{} : weights_chain(parent->node);
  chain.push_back(node);
  return chain;
}

std::vector<std::size_t> Plan::read_by(std::size_t node) const {
  std::set<std::size_t> read;
  for (const auto& input : nodes[node].inputs) {
    read.insert(input.node);
    if (input.role != "weights" && input.role != "aligned") continue;
    for (const std::size_t link : weights_chain(input.node)) read.insert(link);
  }
  return {read.begin(), read.end()};
}

Plan make_plan(const Scenario& scenario, const std::function<std::string(const std::string&)>& digest_of) {
  return Planner(scenario, digest_of).make();
}

}  // namespace holdfast
