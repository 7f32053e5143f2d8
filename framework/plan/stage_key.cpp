#include "plan/stage_key.h"

#include <map>

#include "base/digest.h"

namespace holdfast {

StageKey stage_key(const PlanNode& node, const std::vector<std::string>& inputs) {
  std::map<std::string_view, const std::string*> digests;
  for (std::size_t i = 0; i < inputs.size(); ++i) digests[node.inputs[i].role] = &inputs[i];
  StageKey made;
  made.text = R"({"inputs":{)";
  for (const auto& [role, digest] : digests) {
    if (made.text.back() != '{') made.text += ',';
    made.text.append(1, '"').append(role).append("\":").append(canonical(*digest));
  }
  made.text.append(R"(},"kind":")").append(to_string(node.kind)).append(R"(","revision":)");
  made.text.append(std::to_string(about(node.kind).revision)).append(R"(,"stage":)").append(node.identity->text()).append("}");
  made.key = sha256(made.text);
  return made;
}

std::vector<Resolved> resolve(const Plan& plan, const StoreIndex& index) {
  std::vector<Resolved> resolved(plan.nodes.size());
  std::vector<std::string> inputs;
  for (std::size_t id = 0; id < plan.nodes.size(); ++id) {
    inputs.clear();
    for (const auto& input : plan.nodes[id].inputs) {
      if (resolved[input.node].artifact != nullptr) inputs.push_back(resolved[input.node].artifact->digest);
    }
    if (inputs.size() != plan.nodes[id].inputs.size()) continue;
    resolved[id].key = stage_key(plan.nodes[id], inputs).key;
    resolved[id].artifact = index.find(plan.nodes[id].kind, resolved[id].key);
  }
  return resolved;
}

}  // namespace holdfast
