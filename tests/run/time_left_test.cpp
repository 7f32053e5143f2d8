#include "run/time_left.h"

#include <gtest/gtest.h>

#include "base/scratch_folder.h"
#include "plan/estimate.h"
#include "run/small_plan.h"

namespace holdfast {
namespace {

TEST(Pace, IsThatOfTheKindOrElseOfAll) {
  Pace pace;
  EXPECT_EQ(pace.of(StageKind::kAlign), 1);
  pace.add(StageKind::kAlign, 20, 10);
  EXPECT_EQ(pace.of(StageKind::kAlign), 2);
  EXPECT_EQ(pace.of(StageKind::kJudge), 2);
  pace.add(StageKind::kJudge, 1, 10);
  EXPECT_EQ(pace.of(StageKind::kJudge), 0.1);
  EXPECT_EQ(pace.of_all(), 21.0 / 20);
}

class TimeLeft : public testing::Test {
 protected:
  TimeLeft() {
    const std::size_t aligned = small.add(StageKind::kAlign, "align");
    small.add_cell("a", aligned);
    small.add_cell("b", aligned);
    const std::vector<double> seconds = {10, 4, 2, 1, 4, 2, 1};
    schedule = std::make_unique<Schedule>(small.plan, critical_paths(small.plan, seconds));
    graph = std::make_unique<StageGraph>(small.plan, index, budget, *schedule, seconds);
    graph->start([](std::size_t) {});
  }

  ScratchFolder folder;
  Store store{folder.path()};
  StoreIndex index{store};
  DiskBudget budget{index, 0};
  SmallPlan small;
  std::unique_ptr<Schedule> schedule;
  std::unique_ptr<StageGraph> graph;
};

TEST_F(TimeLeft, IsTheWorkSharedOutButNeverLessThanTheLongestWay) {
  EXPECT_DOUBLE_EQ(seconds_left(*graph, *schedule, {}, {}, 1), 24);
  EXPECT_DOUBLE_EQ(seconds_left(*graph, *schedule, {}, {}, 2), 17);
}

TEST_F(TimeLeft, CountsWhatRunningStagesDid) {
  graph->run(*schedule->take({}));
  EXPECT_DOUBLE_EQ(seconds_left(*graph, *schedule, {}, {{StageKind::kAlign, 10, 17, 4, 0}}, 1), 20);
  // Half done after 20 s: 20 s are left of it, and everything takes four times as long as estimated.
  EXPECT_DOUBLE_EQ(seconds_left(*graph, *schedule, {}, {{StageKind::kAlign, 10, 17, 20, 0.5}}, 1), 20 + 4 * 14);
}

TEST_F(TimeLeft, ForgetsWhatIsDone) {
  graph->run(*schedule->take({}));
  graph->done(0, {"weights", 1, 10, false});
  EXPECT_DOUBLE_EQ(seconds_left(*graph, *schedule, {}, {}, 1), 14);
  EXPECT_EQ(graph->unsettled(), 6u);
}

}  // namespace
}  // namespace holdfast
