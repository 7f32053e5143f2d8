#include "run/executor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>

#include "fakes/workers.h"
#include "plan/stage_key.h"
#include "run/interruption.h"
#include "run/small_plan.h"
#include "store/put.h"

namespace holdfast {
namespace {

using testing::ElementsAre;

std::string name_of(const StageRequest& request) { return request.document.at("stage").at("name").get<std::string>(); }

class Executors : public testing::Test {
 protected:
  // Runs the plan and returns whether it came to its end.
  bool run(std::function<StageEnd(const StageRequest&)> end = {}, std::size_t count = 1) {
    workers = std::make_unique<FakeWorkers>(count, std::move(end));
    workers->on_gang = [this](std::size_t worker, const std::vector<StageRequest>& requests) {
      std::vector<std::string> names;
      for (const auto& request : requests) names.push_back(name_of(request));
      std::sort(names.begin(), names.end());
      gangs.emplace_back(worker, std::move(names));
    };
    workers->on_give = [this](const StageRequest& request) {
      given.push_back(name_of(request));
      if (on_give) on_give(request);
    };
    const std::vector<double> seconds(small.plan.nodes.size(), 1);
    executor = std::make_unique<Executor>(small.plan, index, seconds, disk_budget, *workers, gang);
    executor->start([this](std::size_t node) { settled.push_back(node); });
    return executor->run();
  }

  std::ptrdiff_t place(const std::string& name) const { return std::find(given.begin(), given.end(), name) - given.begin(); }
  const NodeOutcome& outcome(std::size_t node) const { return executor->outcomes()[node]; }
  NodeState state(std::size_t node) const { return outcome(node).state; }

  const Interruption none_yet;  // whatever the test before did
  ScratchFolder folder;
  Store store{folder.path()};
  StoreIndex index{store};
  SmallPlan small;
  std::unique_ptr<FakeWorkers> workers;
  std::unique_ptr<Executor> executor;
  std::function<void(const StageRequest&)> on_give;
  std::vector<std::string> given;
  std::vector<std::pair<std::size_t, std::vector<std::string>>> gangs;  // each with its worker
  std::int64_t gang = 1;
  std::vector<std::size_t> settled;
  std::uint64_t disk_budget = 0;
};

TEST_F(Executors, FinishOneCellBeforeTheNextModelIsTrained) {
  const std::size_t aligned = small.add(StageKind::kAlign, "align");
  for (const char* name : {"a", "b", "c"}) small.add_cell(name, aligned);
  EXPECT_TRUE(run());
  EXPECT_THAT(given,
              ElementsAre("align", "tune c", "ask c", "judge c", "tune b", "ask b", "judge b", "tune a", "ask a", "judge a"));
  EXPECT_EQ(executor->stages_run(), 10u);
  EXPECT_EQ(executor->stages_made(), 10);
  EXPECT_EQ(settled.size(), 10u);
  EXPECT_TRUE(workers->stopped);
}

// The way over "second" is far longer than what is left of a cell.
TEST_F(Executors, RowsAppearBeforeAFarCriticalPath) {
  const std::size_t aligned = small.add(StageKind::kAlign, "align");
  small.add(StageKind::kGenerate, "ask control", {{"weights", aligned}});
  small.add(StageKind::kJudge, "judge control", {{"generations", 1}});
  std::size_t far = small.add(StageKind::kFinetune, "first", {{"weights", aligned}});
  for (const char* name : {"second", "third", "fourth"}) far = small.add(StageKind::kRepair, name, {{"weights", far}});
  EXPECT_TRUE(run());
  EXPECT_THAT(given, ElementsAre("align", "ask control", "judge control", "first", "second", "third", "fourth"));
}

TEST_F(Executors, OtherWorkersTakeTheCriticalPathMeanwhile) {
  const std::size_t aligned = small.add(StageKind::kAlign, "align");
  small.add(StageKind::kGenerate, "ask control", {{"weights", aligned}});
  small.add_cell("far", aligned);
  EXPECT_TRUE(run({}, 2));
  EXPECT_THAT(given, ElementsAre("align", "ask control", "tune far", "ask far", "judge far"));
}

TEST_F(Executors, ADeathCostsTheCellsThatNeedTheStage) {
  const std::size_t aligned = small.add(StageKind::kAlign, "align");
  const std::size_t dies = small.add_cell("dies", aligned);
  const std::size_t lives = small.add_cell("lives", aligned);
  EXPECT_TRUE(run([](const StageRequest& request) -> StageEnd {
    if (name_of(request) == "tune dies") return WorkerDied{"was killed by signal 9 (Killed)"};
    return StageDone{request.key, 1, 1};
  }));
  for (std::size_t node = dies; node < dies + 3; ++node) {
    EXPECT_EQ(state(node), NodeState::kFailed);
    EXPECT_EQ(outcome(node).status, "failed");
    EXPECT_EQ(outcome(node).message, "the worker was killed by signal 9 (Killed) in stage finetune");
  }
  for (std::size_t node = lives; node < lives + 3; ++node) EXPECT_EQ(state(node), NodeState::kDone);
  EXPECT_EQ(executor->unsettled(), 0u);
  EXPECT_EQ(executor->stages_run(), 5u);
  EXPECT_EQ(executor->stages_made(), 4);
  EXPECT_EQ(settled.size(), 7u) << "each is told once";
}

TEST_F(Executors, FailuresAndTimeoutsSayWhatHappened) {
  const std::size_t late = small.add(StageKind::kAlign, "late");
  const std::size_t wrong = small.add(StageKind::kAlign, "wrong");
  small.plan.nodes[wrong].plugin = "vaccine";
  EXPECT_TRUE(run([](const StageRequest& request) -> StageEnd {
    if (name_of(request) == "late") return StageTimedOut{20};
    return StageFailed{"no rows"};
  }));
  EXPECT_EQ(outcome(late).status, "timeout");
  EXPECT_EQ(outcome(late).message, "stage align was stopped at its time limit of 20 s");
  EXPECT_EQ(outcome(wrong).status, "failed");
  EXPECT_EQ(outcome(wrong).message, "stage align (plugin vaccine): no rows");
}

// Two models with cells whose fine-tunings are alike, but for one that trains all weights.
class Gangs : public Executors {
 protected:
  Gangs() {
    gang = 8;
    for (const char* model : {"m", "n"}) {
      const std::size_t aligned = small.add(StageKind::kAlign, std::string("align ") + model);
      for (const char* name : {"1", "2", "3"}) small.add_cell(std::string(model) + name, aligned, "lora");
      small.add_cell(std::string(model) + "-full", aligned);
    }
  }

  using Names = std::vector<std::string>;
  std::vector<Names> gangs_of(const std::string& stage) const {
    std::vector<Names> found;
    for (const auto& [worker, names] : gangs) {
      if (names.front().starts_with(stage)) found.push_back(names);
    }
    std::sort(found.begin(), found.end());
    return found;
  }
};

TEST_F(Gangs, AreOfOneShape) {
  EXPECT_TRUE(run());
  EXPECT_EQ(gangs_of("tune"),
            (std::vector<Names>{
                {"tune m-full"}, {"tune m1", "tune m2", "tune m3"}, {"tune n-full"}, {"tune n1", "tune n2", "tune n3"}}));
  EXPECT_EQ(
      gangs_of("ask"),
      (std::vector<Names>{{"ask m-full"}, {"ask m1", "ask m2", "ask m3"}, {"ask n-full"}, {"ask n1", "ask n2", "ask n3"}}));
  for (const auto& names : gangs_of("judge")) EXPECT_EQ(names.size(), 1u);
  EXPECT_EQ(executor->stages_made(), 26);
  EXPECT_EQ(executor->unsettled(), 0u);
}

TEST_F(Gangs, HaveNoMoreMembersThanTheyMay) {
  gang = 2;
  EXPECT_TRUE(run());
  for (const auto& [worker, names] : gangs) EXPECT_LE(names.size(), 2u);
  EXPECT_EQ(gangs_of("tune").size(), 6u);
}

TEST_F(Gangs, OfOneAreOff) {
  gang = 1;
  EXPECT_TRUE(run());
  EXPECT_EQ(gangs.size(), 26u);
}

TEST_F(Gangs, AreSharedOutAmongFreeWorkers) {
  small = SmallPlan();
  const std::size_t aligned = small.add(StageKind::kAlign, "align");
  for (const char* name : {"1", "2", "3", "4", "5"}) small.add_cell(name, aligned, "lora");
  EXPECT_TRUE(run({}, 2));
  const auto tuned = gangs_of("tune");
  ASSERT_EQ(tuned.size(), 2u);
  EXPECT_EQ(tuned[0].size() + tuned[1].size(), 5u);
  EXPECT_EQ(std::max(tuned[0].size(), tuned[1].size()), 3u);
}

TEST_F(Gangs, AFailureIsItsOwn) {
  EXPECT_TRUE(run([](const StageRequest& request) -> StageEnd {
    if (name_of(request) == "tune m2") return StageFailed{"training diverged"};
    return StageDone{request.key, 1, 1};
  }));
  EXPECT_EQ(executor->stages_made(), 23);
  EXPECT_EQ(executor->stages_run(), 24u);
  EXPECT_EQ(gangs_of("ask")[1], (Names{"ask m1", "ask m3"}));
}

// Ends that may be another member's doing: each runs once more by itself, and only the one at fault fails.
class SharedEnds : public Gangs, public testing::WithParamInterface<StageEnd> {};

TEST_P(SharedEnds, CostTheCellsOfTheOneAtFault) {
  EXPECT_TRUE(run([&](const StageRequest& request) -> StageEnd {
    const std::string name = name_of(request);
    const bool together = gangs.back().second.size() > 1;
    if (name == "tune m2" || (name.starts_with("tune m") && together)) return GetParam();
    return StageDone{request.key, 1, 1};
  }));
  EXPECT_EQ(gangs_of("tune"), (std::vector<Names>{{"tune m-full"},
                                                  {"tune m1"},
                                                  {"tune m1", "tune m2", "tune m3"},
                                                  {"tune m2"},
                                                  {"tune m3"},
                                                  {"tune n-full"},
                                                  {"tune n1", "tune n2", "tune n3"}}));
  EXPECT_EQ(executor->stages_made(), 23);
  const auto& outcomes = executor->outcomes();
  EXPECT_EQ(
      std::count_if(outcomes.begin(), outcomes.end(), [](const NodeOutcome& each) { return each.state == NodeState::kFailed; }),
      3);
}

INSTANTIATE_TEST_SUITE_P(Gangs, SharedEnds,
                         testing::Values(StageEnd(WorkerDied{"was killed by signal 9 (Killed)"}), StageEnd(StageTimedOut{20}),
                                         StageEnd(StageFailed{"ran out of memory", true})));

TEST_F(Executors, AStageOfADeadPluginIsNotGiven) {
  const std::size_t aligned = small.add(StageKind::kAlign, "align");
  small.add_cell("a", aligned);
  small.plan.nodes[aligned].fault = "it died";
  EXPECT_TRUE(run());
  EXPECT_TRUE(given.empty());
  EXPECT_EQ(outcome(3).message, "stage align: it died");
}

TEST_F(Executors, ADamagedArtifactIsMadeAgainOnce) {
  const std::size_t aligned = small.add(StageKind::kAlign, "align");
  const std::size_t tuned = small.add_cell("a", aligned);
  bool damaged = true;
  EXPECT_TRUE(run([&](const StageRequest& request) -> StageEnd {
    if (name_of(request) == "ask a" && std::exchange(damaged, false)) {
      return StageDamaged{StageKind::kFinetune, outcome(tuned).key, "a file is gone"};
    }
    return StageDone{request.key, 1, 1};
  }));
  EXPECT_THAT(given, ElementsAre("align", "tune a", "ask a", "tune a", "ask a", "judge a"));
  EXPECT_EQ(executor->unsettled(), 0u);
  EXPECT_EQ(state(3), NodeState::kDone);
}

TEST_F(Executors, WhatIsDamagedEachTimeFails) {
  const std::size_t aligned = small.add(StageKind::kAlign, "align");
  const std::size_t tuned = small.add_cell("a", aligned);
  EXPECT_TRUE(run([&](const StageRequest& request) -> StageEnd {
    if (name_of(request) == "ask a") return StageDamaged{StageKind::kFinetune, outcome(tuned).key, "a file is gone"};
    return StageDone{request.key, 1, 1};
  }));
  EXPECT_EQ(std::count(given.begin(), given.end(), "tune a"), 3);
  EXPECT_EQ(state(tuned), NodeState::kDone);
  EXPECT_EQ(outcome(tuned + 1).message, "stage generate: a file is gone");
}

// Made again with other content: what was made of the former one is made again.
TEST_F(Executors, OtherBitsThanBeforeReachWhatStandsOnThem) {
  const std::size_t aligned = small.add(StageKind::kAlign, "align");
  const std::size_t tuned = small.add_cell("a", aligned);
  int made = 0;
  bool damaged = true;
  EXPECT_TRUE(run([&](const StageRequest& request) -> StageEnd {
    if (name_of(request) == "ask a" && std::exchange(damaged, false)) {
      return StageDamaged{StageKind::kAlign, outcome(aligned).key, "a file is gone"};
    }
    const bool align = name_of(request) == "align";
    return StageDone{align ? "align " + std::to_string(++made) : "of " + request.key, 1, 1};
  }));
  EXPECT_EQ(std::count(given.begin(), given.end(), "align"), 2);
  EXPECT_EQ(std::count(given.begin(), given.end(), "tune a"), 2);
  EXPECT_EQ(outcome(aligned).digest, "align 2");
  EXPECT_EQ(state(tuned + 2), NodeState::kDone);
}

// A screen that drops nothing leaves the rows that it was given.
TEST_F(Executors, StagesThatTurnOutEqualRunOnce) {
  const std::size_t rows = small.add(StageKind::kCollect, "rows");
  const std::size_t screened = small.add(StageKind::kScreen, "screen", {{"data", rows}});
  const std::size_t plain = small.add(StageKind::kFinetune, "tune", {{"data", rows}});
  const std::size_t filtered = small.add(StageKind::kFinetune, "tune", {{"data", screened}});
  EXPECT_TRUE(run([](const StageRequest& request) -> StageEnd {
    const bool data = request.kind == StageKind::kCollect || request.kind == StageKind::kScreen;
    return StageDone{data ? "the rows" : request.key, 1, 1};
  }));
  EXPECT_EQ(std::count(given.begin(), given.end(), "tune"), 1);
  EXPECT_EQ(outcome(plain).key, outcome(filtered).key);
  EXPECT_EQ(state(filtered), NodeState::kDone);
}

TEST_F(Executors, WhatIsStoredIsNotRunAgain) {
  const std::size_t aligned = small.add(StageKind::kAlign, "align");
  small.add_cell("a", aligned);
  EXPECT_TRUE(run());
  given.clear();
  settled.clear();
  EXPECT_TRUE(run());
  EXPECT_TRUE(given.empty());
  EXPECT_EQ(settled.size(), 4u);
  EXPECT_EQ(executor->stages_run(), 0u);
}

TEST_F(Executors, WhatAnotherRunStoredMeanwhileIsNotRun) {
  const std::size_t aligned = small.add(StageKind::kAlign, "align");
  const std::size_t tuned = small.add_cell("a", aligned);
  Store others(folder.path());
  on_give = [&](const StageRequest& request) {
    if (name_of(request) == "align") {
      put(others, stage_key(small.plan.nodes[tuned], {"made by " + request.key}).key, "weights\n", 1, StageKind::kFinetune);
    }
  };
  EXPECT_TRUE(run());
  EXPECT_THAT(given, ElementsAre("align", "ask a", "judge a"));
  EXPECT_EQ(outcome(tuned).digest, "digest of weights\n");
}

TEST_F(Executors, FilesGoWithTheirLastReaderAndNotBefore) {
  const std::size_t aligned = small.add(StageKind::kAlign, "align");
  for (const char* name : {"a", "b"}) small.add_cell(name, aligned);
  disk_budget = 1;
  const auto has_file = [&](std::size_t node) {
    return fs::exists(store.folder(small.plan.nodes[node].kind, outcome(node).key) / "data.jsonl");
  };
  EXPECT_TRUE(run([&](const StageRequest& request) -> StageEnd {
    for (std::size_t node = 0; node < small.plan.nodes.size(); ++node) {
      if (outcome(node).key != request.key) continue;
      for (const std::size_t read : small.plan.read_by(node)) EXPECT_TRUE(has_file(read)) << name_of(request);
    }
    const Manifest made = put(store, request.key, request.key, 1, request.kind);
    return StageDone{made.digest, 1, made.bytes()};
  }));
  EXPECT_EQ(executor->stages_run(), 7u) << "nothing was made twice";
  for (std::size_t node = 0; node < small.plan.nodes.size(); ++node) {
    const StageKind kind = small.plan.nodes[node].kind;
    EXPECT_EQ(has_file(node), kind == StageKind::kGenerate || kind == StageKind::kJudge) << node;
  }
}

// What was dropped is made again for a stage that is new, and only for it.
TEST_F(Executors, DroppedFilesAreMadeAgainForWhoReadsThem) {
  const std::size_t aligned = small.add(StageKind::kAlign, "align");
  const std::size_t tuned = small.add_cell("a", aligned);
  EXPECT_TRUE(run([&](const StageRequest& request) -> StageEnd {
    const Manifest made = put(store, request.key, request.key, 1, request.kind);
    return StageDone{made.digest, 1, made.bytes()};
  }));
  for (const std::size_t node : {aligned, tuned}) index.drop(small.plan.nodes[node].kind, outcome(node).key);
  small.add(StageKind::kGenerate, "ask more", {{"weights", tuned}});
  given.clear();
  EXPECT_TRUE(run([&](const StageRequest& request) -> StageEnd { return StageDone{"digest of " + request.key, 1, 1}; }));
  EXPECT_THAT(given, ElementsAre("align", "tune a", "ask more"));
}

TEST_F(Executors, AnInterruptionStopsTheWorkers) {
  const Interruption interruption;
  const std::size_t aligned = small.add(StageKind::kAlign, "align");
  small.add_cell("a", aligned);
  on_give = [](const StageRequest& request) {
    if (name_of(request) == "tune a") ::raise(SIGINT);
  };
  EXPECT_FALSE(run());
  EXPECT_TRUE(workers->stopped);
  EXPECT_THAT(given, ElementsAre("align", "tune a"));
  EXPECT_GT(executor->unsettled(), 0u);
}

}  // namespace
}  // namespace holdfast
