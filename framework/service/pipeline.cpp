#include "service/pipeline.h"

#include <holdfast/error.h>

#include <algorithm>
#include <utility>

#include "base/suggest.h"
#include "learn/checkpoint.h"
#include "learn/training_options.h"
#include "plan/part_of_plan.h"
#include "plan/stage_key.h"
#include "run/stage_requests.h"
#include "service/offers.h"

namespace holdfast {
namespace {

constexpr std::size_t kMostRemembered = 1000;

template <typename Spec>
const Spec& named(const std::vector<Spec>& specs, const std::string& name) {
  const auto found = std::find_if(specs.begin(), specs.end(), [&](const Spec& spec) { return spec.name == name; });
  HOLDFAST_CHECK(found != specs.end());  // the reader of [service] looked
  return *found;
}

AttackSpec submitting(DataSource rows, const TrainingOptions& options) {
  AttackSpec attack;
  attack.name = "rows";
  attack.rows = std::move(rows);
  attack.finetune = options;
  return attack;
}

std::optional<std::size_t> node_of(const Plan& plan, StageKind kind) {
  const auto found =
      std::find_if(plan.nodes.begin(), plan.nodes.end(), [&](const PlanNode& node) { return node.kind == kind; });
  if (found == plan.nodes.end()) return std::nullopt;
  return static_cast<std::size_t>(found - plan.nodes.begin());
}

// `cell` has one cell.
Pipeline pipeline_of(const Scenario& cell) {
  Pipeline made;
  made.whole = make_plan(cell, checkpoint_digest);
  const Cell& stages = made.whole.cells.front();
  made.asking = cell.moderators.empty() ? stages.stages.back().node : stages.moderators.front().node;
  Plan weights = made.whole;
  Cell& needed = weights.cells.front();
  needed.stages.clear();
  needed.moderators.clear();
  std::optional<std::size_t> served;  // its place among them
  for (const auto& input : made.whole.nodes[made.asking].inputs) {
    if (!is_weights(input.role)) continue;
    if (input.role == "weights") served = needed.stages.size();
    needed.stages.push_back({0, static_cast<std::uint32_t>(input.node)});
  }
  made.made = part_of_plan(weights, [](const CellName&) { return true; });
  if (served) made.weights = made.made.cells.front().stages[*served].node;
  made.submitted = node_of(made.made, StageKind::kCollect);
  made.tuned = node_of(made.made, StageKind::kFinetune);
  if (made.tuned) made.screened = made.made.nodes[*made.tuned].input("data")->node;
  return made;
}

}  // namespace

Pipelines::Pipelines(const Scenario& service) : service_(service) {
  service_.attacks.clear();
  service_.judges.clear();
  service_.customer = false;
  if (!service_.align_seed) service_.align_seed = service_.seeds.front();  // one model on offer, whatever a customer's seed
  for (auto& model : service_.models) {
    model.probes.clear();
    model.probe_rows = {};
  }
}

const OfferSpec& Pipelines::offer(const std::string& id) const {
  if (const auto* found = find_offer(service(), id)) return *found;
  std::vector<std::string> known;
  for (const auto& each : service().offers) known.push_back(each.id);
  throw Error("there is no model \"" + id + "\" on offer." + suggestion(id, known));
}

Scenario Pipelines::cell(const std::string& model, const std::string& defense, AttackSpec attack, std::int64_t seed) const {
  Scenario one = service_;
  one.models = {named(service_.models, model)};
  one.defenses = {named(service_.defenses, defense)};
  one.moderators.clear();
  one.attacks = {std::move(attack)};
  one.seeds = {seed};
  return one;
}

std::shared_ptr<const Pipeline> Pipelines::once(const std::string& name, const std::function<Pipeline()>& make) {
  const std::lock_guard lock(mutex_);
  if (const auto known = made_.find(name); known != made_.end()) return known->second;
  if (made_.size() >= kMostRemembered) made_.clear();
  return made_[name] = std::make_shared<const Pipeline>(make());
}

std::shared_ptr<const Pipeline> Pipelines::base(const std::string& id) {
  const OfferSpec& offered = offer(id);
  return once(canonical({{"offer", id}}), [&] {
    AttackSpec none;
    none.name = "none";
    none.finetune = service_.finetune;
    return pipeline_of(cell(offered.model, offered.defense, none, service_.seeds.front()));
  });
}

std::shared_ptr<const Pipeline> Pipelines::of(const TuningOrder& order) {
  const OfferSpec& offered = offer(order.offer);
  const Json name = {
      {"offer", order.offer}, {"seed", order.seed}, {"rows", to_json(order.rows)}, {"options", to_json(order.options)}};
  return once(canonical(name), [&] {
    return pipeline_of(cell(offered.model, offered.defense, submitting(order.rows, order.options), order.seed));
  });
}

std::shared_ptr<const Pipeline> Pipelines::moderator(const std::string& name) {
  const auto& known = service_.moderators;
  const auto found = std::find_if(known.begin(), known.end(), [&](const ModeratorSpec& each) { return each.name == name; });
  if (found == known.end()) throw Error("there is no [[moderator]] named \"" + name + "\"");
  return once(canonical({{"moderator", name}}), [&] {
    Scenario one = cell(service().offers.front().model, "none", submitting({}, service_.finetune), service_.seeds.front());
    one.moderators = {*found};
    return pipeline_of(one);
  });
}

std::optional<StageRequest> asking_request(const Pipeline& pipeline, Store& store) {
  const Plan& plan = pipeline.whole;
  const PlanNode& last = plan.nodes[pipeline.asking];
  std::vector<bool> needed(plan.nodes.size());
  for (const auto& input : last.inputs) needed[input.node] = needed[input.node] || is_weights(input.role);
  for (std::size_t id = plan.nodes.size(); id-- > 0;) {
    if (!needed[id]) continue;
    for (const auto& input : plan.nodes[id].inputs) needed[input.node] = true;
  }
  std::vector<NodeOutcome> outcomes(plan.nodes.size());
  const auto key = [&](std::size_t id) {
    std::vector<std::string> inputs;
    for (const auto& input : plan.nodes[id].inputs) inputs.push_back(outcomes[input.node].digest);
    return stage_key(plan.nodes[id], inputs).key;
  };
  for (std::size_t id = 0; id < plan.nodes.size(); ++id) {
    if (!needed[id]) continue;
    const StageKind kind = plan.nodes[id].kind;
    outcomes[id].key = key(id);
    const auto stored = store.find(kind, outcomes[id].key);
    const bool rows = kind == StageKind::kCollect || kind == StageKind::kScreen;  // nobody reads them again
    if (!stored || (stored->dropped && !rows)) return std::nullopt;
    outcomes[id].digest = stored->digest;
  }
  outcomes[pipeline.asking].key = key(pipeline.asking);
  StageRequest request = stage_request(plan, outcomes, pipeline.asking);
  request.inputs.clear();
  return request;
}

}  // namespace holdfast
