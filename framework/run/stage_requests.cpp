#include "run/stage_requests.h"

#include "plan/stage_key.h"

namespace holdfast {
namespace {

// The checkpoint that the task names, and the changes on top of it up to `last`; null: none.
WeightsRef weights_of(const Plan& plan, const std::vector<NodeOutcome>& outcomes, const Json& task, const StageInput* last) {
  WeightsRef ref;
  task.at("model").at("source").get_to(ref.source);
  task.at("model").at("device").get_to(ref.device);
  task.at("model").at("dtype").get_to(ref.dtype);
  task.at("base").get_to(ref.base);
  if (last == nullptr) return ref;
  for (const std::size_t link : plan.weights_chain(last->node)) {
    const NodeOutcome& made = outcomes[link];
    ref.chain.push_back({plan.nodes[link].kind, made.key, made.digest});
  }
  return ref;
}

}  // namespace

StageRequest stage_request(const Plan& plan, const std::vector<NodeOutcome>& outcomes, std::size_t node) {
  const PlanNode& stage = plan.nodes[node];
  std::vector<std::string> digests;
  for (const auto& input : stage.inputs) digests.push_back(outcomes[input.node].digest);
  StageRequest made;
  made.kind = stage.kind;
  made.key = outcomes[node].key;
  made.document = stage_key(stage, digests).document();
  made.task = stage.task->json();
  for (const auto& input : stage.inputs) {
    if (is_weights(input.role)) continue;
    made.inputs[std::string(input.role)] = {plan.nodes[input.node].kind, outcomes[input.node].key};
  }
  if (made.task.contains("base_model")) made.weights["base"] = weights_ref_from_json(made.task.at("base_model"));
  if (!stage.task->contains("model")) return made;
  made.weights["weights"] = weights_of(plan, outcomes, made.task, stage.input("weights"));
  if (stage.task->contains("sees_aligned")) {
    made.weights["aligned"] = weights_of(plan, outcomes, made.task, stage.input("aligned"));
  }
  if (const StageInput* base = stage.input("base")) made.weights["base"] = weights_of(plan, outcomes, made.task, base);
  if (stage.kind == StageKind::kFinetune) made.weights["aligned"] = made.weights["weights"];  // a tune stage starts from it
  return made;
}

}  // namespace holdfast
