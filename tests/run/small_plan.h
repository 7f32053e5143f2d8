// Plans put together by hand, of stages that have no more than a name.
#pragma once

#include "plan/plan.h"

namespace holdfast {

class SmallPlan {
 public:
  std::size_t add(StageKind kind, const std::string& name, std::vector<StageInput> inputs = {}) {
    StageDocument document;
    document.set("name", texts_.of(name));
    const std::size_t id = plan.nodes.size();
    for (const auto& input : inputs) plan.nodes[input.node].children.push_back(id);
    PlanNode& node = plan.nodes.emplace_back();
    node.kind = kind;
    node.identity = node.task = std::make_shared<const StageDocument>(std::move(document));
    node.inputs = std::move(inputs);
    return id;
  }

  /// A fine-tune of `parent`, its replies and a verdict of them. Returns the fine-tune.
  std::size_t add_cell(const std::string& name, std::size_t parent) {
    const std::size_t tuned = add(StageKind::kFinetune, "tune " + name, {{"weights", parent}});
    const std::size_t asked = add(StageKind::kGenerate, "ask " + name, {{"weights", tuned}});
    add(StageKind::kJudge, "judge " + name, {{"generations", asked}});
    return tuned;
  }

  Plan plan;

 private:
  TextPool texts_;
};

}  // namespace holdfast
