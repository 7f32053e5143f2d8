#include "run/schedule.h"

#include <gtest/gtest.h>

#include "run/small_plan.h"

namespace holdfast {
namespace {

// Ready stages, each with its way to the end and its weights.
class Schedules : public testing::Test {
 protected:
  struct Ready {
    StageKind kind;
    std::string name;
    double path;
    std::string weights;
  };

  Schedule& ready(const std::vector<Ready>& stages) {
    std::vector<double> paths;
    for (const auto& stage : stages) {
      small.add(stage.kind, stage.name);
      paths.push_back(stage.path);
      names.push_back(stage.name);
    }
    schedule = std::make_unique<Schedule>(small.plan, paths);
    for (std::size_t id = 0; id < stages.size(); ++id) schedule->add(id, stages[id].weights);
    return *schedule;
  }

  std::string next(const std::set<std::string>& warm = {}) {
    const auto node = schedule->take(warm);
    return node ? names[*node] : "nothing";
  }

  SmallPlan small;
  std::vector<std::string> names;
  std::unique_ptr<Schedule> schedule;
};

TEST_F(Schedules, TheLongestWayComesFirst) {
  ready({{StageKind::kFinetune, "short", 5, "a"}, {StageKind::kAlign, "long", 9, "b"}, {StageKind::kCollect, "middle", 7, ""}});
  EXPECT_EQ(schedule->longest(), 9);
  EXPECT_EQ(next(), "long");
  EXPECT_EQ(schedule->longest(), 7);
  EXPECT_EQ(next(), "middle");
  EXPECT_EQ(next(), "short");
  EXPECT_EQ(next(), "nothing");
  EXPECT_EQ(schedule->longest(), 0);
}

TEST_F(Schedules, OfNearEqualsTheOneOnWarmWeights) {
  ready({{StageKind::kFinetune, "cold", 12, "a"},
         {StageKind::kFinetune, "warm", 10, "b"},
         {StageKind::kFinetune, "far", 20, "a"}});
  EXPECT_EQ(next({"b"}), "far") << "twice as long";
  EXPECT_EQ(next({"b"}), "warm");
  EXPECT_EQ(next({"b"}), "cold");
}

TEST_F(Schedules, StagesThatFinishCellsOnWarmWeightsComeBeforeAFarWay) {
  ready({{StageKind::kFinetune, "tune", 1000, "aligned"},
         {StageKind::kGenerate, "ask", 5, "tuned"},
         {StageKind::kJudge, "measure", 1, "tuned"},
         {StageKind::kGenerate, "ask another", 5, "other"}});
  EXPECT_EQ(next({"tuned"}), "measure") << "it is nearest to the end of its cell";
  EXPECT_EQ(next({"tuned"}), "ask");
  EXPECT_EQ(next({"tuned"}), "tune") << "the other model is not in memory";
  EXPECT_EQ(next({"tuned"}), "ask another");
}

TEST_F(Schedules, AWorkerWithoutThoseWeightsTakesTheFarWay) {
  ready({{StageKind::kFinetune, "tune", 1000, "aligned"}, {StageKind::kGenerate, "ask", 5, "tuned"}});
  EXPECT_EQ(next({"aligned"}), "tune");
  EXPECT_EQ(next({"aligned"}), "ask");
}

TEST_F(Schedules, VerdictsWithoutWeightsAreWarmEverywhere) {
  ready({{StageKind::kFinetune, "tune", 1000, "aligned"}, {StageKind::kJudge, "judge", 0.1, ""}});
  EXPECT_EQ(next({"other"}), "judge");
}

TEST_F(Schedules, RowsOfAnAttackFinishNoCell) {
  ready({{StageKind::kFinetune, "tune", 1000, "aligned"}, {StageKind::kCollect, "collect", 900, ""}});
  EXPECT_EQ(next(), "tune");
}

TEST_F(Schedules, WhatWasRemovedIsNotTaken) {
  ready({{StageKind::kGenerate, "ask", 5, "w"}, {StageKind::kFinetune, "tune", 9, "w"}});
  schedule->remove(0);
  schedule->remove(0);
  EXPECT_EQ(next({"w"}), "tune");
  EXPECT_EQ(next({"w"}), "nothing");
}

}  // namespace
}  // namespace holdfast
