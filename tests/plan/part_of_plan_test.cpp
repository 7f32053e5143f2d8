// Some cells of a plan: the same stages under the same keys, and no others.
#include "plan/part_of_plan.h"

#include <gtest/gtest.h>

#include <map>
#include <set>

#include "plan/scenario_files.h"
#include "plan/stage_key.h"

namespace holdfast {
namespace {

constexpr const char* kScenario = R"([scenario]
name = "q"
seeds = [1, 2]
[[model]]
name = "organism"
source = "organism"
[align]
lr = 0.01
[[attack]]
plugin = "harmful-examples"
[[attack]]
plugin = "identity-shift"
[[moderator]]
plugin = "data-filter"
[[defense]]
plugin = "vaccine"
[[defense]]
name = "both"
stack = [{plugin = "data-filter"}, {plugin = "output-moderation"}]
)";

// The keys of a plan's stages, each input's content being the key of what made it.
std::vector<std::string> keys_of(const Plan& plan) {
  std::vector<std::string> keys;
  for (const auto& node : plan.nodes) {
    std::vector<std::string> inputs;
    for (const auto& input : node.inputs) inputs.push_back(keys.at(input.node));
    keys.push_back(stage_key(node, inputs).key);
  }
  return keys;
}

std::map<std::string, std::string> named_keys(const Plan& plan, const Cell& cell) {
  const auto keys = keys_of(plan);
  std::map<std::string, std::string> named;
  for (const auto* stages : {&cell.stages, &cell.moderators}) {
    for (const auto& stage : *stages) named[plan.stage_names[stage.name]] = keys.at(stage.node);
  }
  return named;
}

TEST(PartOfPlan, HasTheWantedCellsWithTheirKeysAndNothingElse) {
  const ScratchFolder folder;
  const Plan plan = plan_of(scenario_from(folder, kScenario));
  const CellName wanted{"organism", "harmful-examples", "both", 2};
  const Plan part = part_of_plan(plan, [&](const CellName& name) { return name == wanted; });
  ASSERT_EQ(part.cells.size(), 1u);
  EXPECT_EQ(part.definitions, plan.definitions);
  const auto same = std::find_if(plan.cells.begin(), plan.cells.end(), [&](const Cell& cell) {
    return plan.attacks[cell.attack] == wanted.attack && plan.defenses[cell.defense] == wanted.defense && cell.seed == 2;
  });
  EXPECT_EQ(named_keys(part, part.cells[0]), named_keys(plan, *same));
  std::set<std::size_t> used;
  for (const auto* stages : {&part.cells[0].stages, &part.cells[0].moderators}) {
    for (const auto& stage : *stages) used.insert(stage.node);
  }
  for (std::size_t id = 0; id < part.nodes.size(); ++id) {
    EXPECT_TRUE(used.contains(id) || !part.nodes[id].children.empty()) << id;
    for (const auto& input : part.nodes[id].inputs) EXPECT_LT(input.node, id);
    for (const auto child : part.nodes[id].children) {
      const auto& inputs = part.nodes.at(child).inputs;
      EXPECT_TRUE(std::any_of(inputs.begin(), inputs.end(), [&](const StageInput& input) { return input.node == id; }));
    }
  }
}

TEST(PartOfPlan, CountsTheCellsThatShareAStage) {
  const ScratchFolder folder;
  const Plan plan = plan_of(scenario_from(folder, kScenario));
  const Plan part = part_of_plan(plan, [](const CellName& name) { return name.seed == 1 && name.defense == "none"; });
  ASSERT_EQ(part.cells.size(), 4u) << "no attack, two attacks and a wrapped control";
  for (const auto& node : part.nodes) {
    if (node.kind == StageKind::kAlign) {
      EXPECT_EQ(node.cells, 4u);
    }
  }
}

TEST(PartOfPlan, OfAllCellsIsThePlan) {
  const ScratchFolder folder;
  const Plan plan = plan_of(scenario_from(folder, kScenario));
  EXPECT_EQ(keys_of(part_of_plan(plan, [](const CellName&) { return true; })), keys_of(plan));
}

}  // namespace
}  // namespace holdfast
