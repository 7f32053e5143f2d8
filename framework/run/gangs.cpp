#include "run/gangs.h"

#include "base/json.h"

namespace holdfast {
namespace {

bool has_plugins(const PlanNode& stage) {
  return stage.task->contains("plugin") || stage.task->contains("plugins") || stage.task->contains("inner");
}

bool trains_adapters(const PlanNode& stage) {
  const std::string* options = stage.task->find("options");
  return stage.kind == StageKind::kFinetune && options != nullptr && Json::parse(*options).at("method") == "lora";
}

// Verdicts that need no model here and nobody elsewhere: made faster than a stage is handed out.
bool judges_by_rules(const PlanNode& stage) {
  const auto has = [&](std::string_view name) { return stage.task->contains(name); };
  const std::string* judge = stage.task->find("judge");
  if (stage.kind != StageKind::kJudge || judge == nullptr) return false;
  if (has("model") || has("judge_model") || has("decoder")) return false;
  return Json::parse(*judge).at("resolved").value("endpoint", "").empty();
}

std::string field(const PlanNode& stage, std::string_view name) {
  const std::string* text = stage.task->find(name);
  return text == nullptr ? "" : *text;
}

}  // namespace

const StageInput* gang_parent(const Plan& plan, std::size_t node) {
  const StageInput* weights = plan.nodes[node].input("weights");
  if (plan.nodes[node].kind != StageKind::kGenerate || weights == nullptr) return weights;
  return plan.nodes[weights->node].input("weights");
}

std::string gang_shape(const Plan& plan, std::size_t node, const std::string& weights) {
  const PlanNode& stage = plan.nodes[node];
  if (has_plugins(stage)) return "";
  if (judges_by_rules(stage)) return "judge " + std::to_string(stage.input("generations")->node);
  const std::string on = field(stage, "model") + weights;
  if (trains_adapters(stage)) return "finetune " + on;
  const StageInput* asked = stage.input("weights");
  if (stage.kind != StageKind::kGenerate || asked == nullptr || !trains_adapters(plan.nodes[asked->node])) return "";
  return "generate " + on + field(stage, "options");
}

}  // namespace holdfast
