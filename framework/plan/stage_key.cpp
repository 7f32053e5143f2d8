#include "plan/stage_key.h"

#include "base/digest.h"

namespace holdfast {

StageKey stage_key(const PlanNode& node, const std::vector<std::string>& inputs) {
  Json digests = Json::object();
  for (std::size_t i = 0; i < inputs.size(); ++i) digests[node.inputs[i].role] = inputs[i];
  StageKey made;
  made.document = {{"kind", to_string(node.kind)},
                   {"revision", about(node.kind).revision},
                   {"stage", node.identity},
                   {"inputs", std::move(digests)}};
  made.key = sha256(canonical(made.document));
  return made;
}

std::vector<Resolved> resolve(const Plan& plan, Store& store) {
  std::vector<Resolved> resolved(plan.nodes.size());
  for (std::size_t id = 0; id < plan.nodes.size(); ++id) {
    std::vector<std::string> inputs;
    for (const auto& input : plan.nodes[id].inputs) {
      if (resolved[input.node].manifest) inputs.push_back(resolved[input.node].manifest->digest);
    }
    if (inputs.size() != plan.nodes[id].inputs.size()) continue;
    resolved[id].key = stage_key(plan.nodes[id], inputs).key;
    resolved[id].manifest = store.find(plan.nodes[id].kind, resolved[id].key);
  }
  return resolved;
}

}  // namespace holdfast
