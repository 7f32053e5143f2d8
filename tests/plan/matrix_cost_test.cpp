// What a matrix costs shared and unshared, against sums over the plan of each cell alone.
#include "plan/matrix_cost.h"

#include <gtest/gtest.h>

#include <map>

#include "plan/part_of_plan.h"
#include "plan/scenario_files.h"
#include "run/small_plan.h"

namespace holdfast {
namespace {

std::vector<std::string> unknown_keys(const Plan& plan) { return std::vector<std::string>(plan.nodes.size()); }

Cell cell_with(std::vector<std::uint32_t> nodes) {
  Cell cell{0, 0, 0};
  for (const auto node : nodes) cell.stages.push_back({0, node});
  return cell;
}

TEST(MatrixCost, IsThatOfEachStageOnceAndOfThePlansOfEachCellAlone) {
  const ScratchFolder folder;
  const Plan plan = plan_of(scenario_from(folder, kSmallMatrix));
  const auto keys = keys_of(plan);
  std::vector<double> seconds;
  std::map<std::string, double> by_key;
  double sum = 0;
  for (std::size_t id = 0; id < keys.size(); ++id) {
    seconds.push_back(1 + static_cast<double>(id * id % 17));
    by_key[keys[id]] = seconds.back();
    sum += seconds.back();
  }
  ASSERT_EQ(by_key.size(), plan.nodes.size());
  double alone = 0;
  for (const auto& cell : plan.cells) {
    const CellName name{plan.models[cell.model], plan.attacks[cell.attack], plan.defenses[cell.defense], cell.seed};
    for (const auto& key : keys_of(part_of_plan(plan, [&](const CellName& each) { return each == name; }))) {
      alone += by_key.at(key);
    }
  }
  for (const auto& known : {keys, unknown_keys(plan)}) {
    const MatrixCost cost = matrix_cost(plan, seconds, known);
    EXPECT_DOUBLE_EQ(cost.distinct, sum);
    EXPECT_DOUBLE_EQ(cost.alone, alone);
    EXPECT_DOUBLE_EQ(cost.share(), sum / alone);
  }
}

// A screen that dropped no row: its fine-tune is the undefended one.
TEST(MatrixCost, CountsNodesOfOneKeyOnceInTheMatrixAndInACell) {
  SmallPlan small;
  const auto align = static_cast<std::uint32_t>(small.add(StageKind::kAlign, "align"));
  const auto tune = static_cast<std::uint32_t>(small.add(StageKind::kFinetune, "tune", {{"weights", align}}));
  const auto twin = static_cast<std::uint32_t>(small.add(StageKind::kFinetune, "tune twice", {{"weights", align}}));
  const auto both = static_cast<std::uint32_t>(small.add(StageKind::kJudge, "judge", {{"weights", tune}, {"aligned", twin}}));
  small.plan.cells = {cell_with({align, tune}), cell_with({align, twin}), cell_with({both})};
  const std::vector<double> seconds = {100, 10, 10, 1};
  const MatrixCost planned = matrix_cost(small.plan, seconds, unknown_keys(small.plan));
  EXPECT_DOUBLE_EQ(planned.distinct, 121);
  EXPECT_DOUBLE_EQ(planned.alone, 110 + 110 + 121);
  const MatrixCost known = matrix_cost(small.plan, seconds, {"a", "t", "t", ""});
  EXPECT_DOUBLE_EQ(known.distinct, 111);
  EXPECT_DOUBLE_EQ(known.alone, 110 + 110 + 111);
}

TEST(MatrixCost, OfNothingIsNothing) {
  const MatrixCost cost = matrix_cost(Plan(), {}, {});
  EXPECT_EQ(cost.distinct, 0);
  EXPECT_EQ(cost.alone, 0);
  EXPECT_EQ(cost.share(), 1);
}

}  // namespace
}  // namespace holdfast
