// Some cells of a plan: the same stages under the same keys, and no others.
#include "plan/part_of_plan.h"

#include <gtest/gtest.h>

#include <map>
#include <set>

#include "plan/scenario_files.h"

namespace holdfast {
namespace {

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
  const Plan plan = plan_of(scenario_from(folder, kSmallMatrix));
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
  const Plan plan = plan_of(scenario_from(folder, kSmallMatrix));
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
  const Plan plan = plan_of(scenario_from(folder, kSmallMatrix));
  EXPECT_EQ(keys_of(part_of_plan(plan, [](const CellName&) { return true; })), keys_of(plan));
}

}  // namespace
}  // namespace holdfast
