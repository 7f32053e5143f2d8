// Plans put together by hand, of stages that have no more than a name.
#pragma once

#include "plan/plan.h"

namespace holdfast {

class SmallPlan {
 public:
  /// `options`: of its task, null: none.
  std::size_t add(StageKind kind, const std::string& name, std::vector<StageInput> inputs = {}, const Json& options = {}) {
    StageDocument document;
    document.set("name", texts_.of(name));
    if (!options.is_null()) document.set("options", texts_.of(options));
    const std::size_t id = plan.nodes.size();
    for (const auto& input : inputs) plan.nodes[input.node].children.push_back(id);
    PlanNode& node = plan.nodes.emplace_back();
    node.kind = kind;
    node.identity = node.task = std::make_shared<const StageDocument>(std::move(document));
    node.inputs = std::move(inputs);
    return id;
  }

  /// A fine-tune of `parent`, its replies and a verdict of them. Returns the fine-tune.
  std::size_t add_cell(const std::string& name, std::size_t parent, const std::string& method = "full") {
    const std::size_t tuned = add(StageKind::kFinetune, "tune " + name, {{"weights", parent}}, {{"method", method}});
    const std::size_t asked = add(StageKind::kGenerate, "ask " + name, {{"weights", tuned}}, Json::object());
    add(StageKind::kJudge, "judge " + name, {{"generations", asked}});
    return tuned;
  }

  Plan plan;

 private:
  TextPool texts_;
};

}  // namespace holdfast
