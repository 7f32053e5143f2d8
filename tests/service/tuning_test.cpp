#include "service/tuning.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <holdfast/error.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <thread>

#include "fakes/workers.h"
#include "learn/checkpoint.h"
#include "run/executor.h"
#include "run/interruption.h"
#include "service/screening.h"
#include "service/tuning_fakes.h"

namespace holdfast {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

const TuningSucceeded& success(const TuningEnd& end) {
  if (const auto* failed = std::get_if<TuningFailed>(&end)) throw Error("it failed: " + failed->message);
  return std::get<TuningSucceeded>(end);
}

std::string failure(const TuningEnd& end) { return std::get<TuningFailed>(end).message; }

std::vector<StageKind> kinds_of(const WeightsRef& weights) {
  std::vector<StageKind> kinds;
  for (const auto& link : weights.chain) kinds.push_back(link.kind);
  return kinds;
}

class Tuning : public testing::Test {
 protected:
  TuningOrder order(const std::vector<std::string>& questions, const std::string& offer = "guarded") {
    const fs::path path = folder / ("rows" + std::to_string(++files_) + ".jsonl");
    return {offer, rows_file(path, questions), 1, {}};
  }

  FakeWorkers& fake_workers(std::size_t count = 1) {
    fake = std::make_unique<FakeWorkers>(
        count, [this](const StageRequest& request) { return on_stage ? on_stage(request) : stages(request); });
    fake->on_give = [this](const StageRequest& request) { ++given[{request.kind, request.key}]; };
    return *fake;
  }

  void begin(Workers& workers) { runner = std::make_unique<TuningRunner>(service, store, workers, diary); }

  // Times that stages of that kind were given. Once the runner has ended, or all its orders have.
  int runs(StageKind kind) const {
    int count = 0;
    for (const auto& [name, times] : given) count += name.first == kind ? times : 0;
    return count;
  }

  // Waits until the weights on offer are there.
  void await_base(const std::string& offer) {
    while (!runner->served(offer, std::nullopt)) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }

  ScratchFolder folder;
  Scenario service = service_scenario();
  Store store{folder / "store"};
  FakeStages stages{folder / "store"};
  std::function<StageEnd(const StageRequest&)> on_stage;
  std::map<std::pair<StageKind, std::string>, int> given;
  std::unique_ptr<FakeWorkers> fake;
  HeldWorkers held{1, FakeStages(folder / "store")};
  Diary diary;
  std::unique_ptr<TuningRunner> runner;

 private:
  int files_ = 0;
};

TEST_F(Tuning, ScreensTunesRepairsAndServes) {
  const TuningOrder ordered = order({"good", "bad one", "fine"});
  begin(fake_workers());
  runner->submit("job", ordered);
  const TuningSucceeded end = success(diary.end_of("job"));
  EXPECT_THAT(diary.notes("job"), ElementsAre("align", "collect", "screen", "screened 3 - 2 + 0", "finetune", "repair"));
  EXPECT_EQ(end.trained_tokens, 42);
  EXPECT_EQ(end.rows_trained, 2);
  ASSERT_EQ(end.curve.size(), 2u);
  EXPECT_EQ(end.curve[1].loss, 1.5);

  const auto served = runner->served("guarded", ordered);
  ASSERT_TRUE(served);
  EXPECT_EQ(served->kind, StageKind::kGenerate);
  EXPECT_FALSE(served->key.empty());
  EXPECT_EQ(served->task.at("plugin").at("name"), "guard");
  EXPECT_THAT(served->inputs, IsEmpty());
  const WeightsRef& weights = served->weights.at("weights");
  EXPECT_THAT(kinds_of(weights), ElementsAre(StageKind::kAlign, StageKind::kFinetune, StageKind::kRepair));
  EXPECT_EQ(weights.chain.back().digest, end.model_digest);
  EXPECT_EQ(end.model_digest, "made by " + weights.chain.back().key);
}

// A scenario's cell with the same rows, run as any other.
TEST_F(Tuning, ADirectCellIsTheSameModel) {
  const TuningOrder ordered = order({"good", "bad one"});
  Scenario direct = service;
  AttackSpec none, rows;
  none.name = "none";
  rows.name = "rows";
  rows.rows = rows_file(folder / "copy.jsonl", {"good", "bad one"});
  direct.attacks = {none, rows};
  const Plan plan = make_plan(direct, checkpoint_digest);
  Store elsewhere(folder / "direct");
  StoreIndex index(elsewhere);
  FakeWorkers workers(1, FakeStages(folder / "direct"));
  const Interruption none_yet;
  Executor executor(plan, index, std::vector<double>(plan.nodes.size(), 1), 0, workers);
  executor.start([](std::size_t) {});
  ASSERT_TRUE(executor.run());

  begin(fake_workers());
  runner->submit("job", ordered);
  const std::string digest = success(diary.end_of("job")).model_digest;
  const auto made = [&](const NodeOutcome& outcome) { return outcome.digest == digest; };
  EXPECT_EQ(std::count_if(executor.outcomes().begin(), executor.outcomes().end(), made), 1);
}

TEST_F(Tuning, TheBaseOnOfferIsMadeWithoutAnOrder) {
  begin(fake_workers());
  await_base("guarded");
  await_base("bare");
  const StageRequest guarded = *runner->served("guarded", std::nullopt), bare = *runner->served("bare", std::nullopt);
  EXPECT_THAT(kinds_of(guarded.weights.at("weights")), ElementsAre(StageKind::kAlign, StageKind::kRepair));
  EXPECT_THAT(kinds_of(bare.weights.at("weights")), ElementsAre(StageKind::kAlign));
  EXPECT_FALSE(bare.task.contains("plugin"));
  EXPECT_NE(guarded.key, bare.key);
  runner.reset();
  EXPECT_EQ(runs(StageKind::kAlign), 1);
}

TEST_F(Tuning, ACustomersSeedAlignsNothingAnew) {
  begin(fake_workers());
  TuningOrder other = order({"good"});
  other.seed = 7;
  runner->submit("one", order({"good"}));
  runner->submit("other", other);
  EXPECT_NE(success(diary.end_of("one")).model_digest, success(diary.end_of("other")).model_digest);
  runner.reset();
  EXPECT_EQ(runs(StageKind::kAlign), 1);
  EXPECT_EQ(runs(StageKind::kFinetune), 2);
}

TEST_F(Tuning, EqualJobsShareEveryStage) {
  begin(fake_workers(2));
  for (int i = 0; i < 100; ++i) runner->submit("job " + std::to_string(i), order({"good", "bad"}));  // each with its own file
  const std::string digest = success(diary.end_of("job 0")).model_digest;
  for (int i = 0; i < 100; ++i) {
    const std::string name = "job " + std::to_string(i);
    EXPECT_EQ(success(diary.end_of(name)).model_digest, digest);
    EXPECT_THAT(diary.notes(name), ElementsAre("align", "collect", "screen", "screened 2 - 2 + 0", "finetune", "repair"));
  }
  runner.reset();
  for (const auto& [stage, times] : given) EXPECT_EQ(times, 1) << to_string(stage.first);
  EXPECT_EQ(runs(StageKind::kFinetune), 1);
}

TEST_F(Tuning, AHundredJobsOnTwoWorkersAreNotMixedUp) {
  std::vector<TuningOrder> orders;
  for (int i = 0; i < 100; ++i) {
    std::vector<std::string> questions;
    for (int row = 0; row <= i % 5; ++row)
      questions.push_back((row == i % 3 ? "bad " : "good ") + std::to_string(100 * i + row));
    questions.push_back("last of " + std::to_string(i));
    orders.push_back(order(questions, i % 2 == 0 ? "guarded" : "bare"));
  }
  begin(fake_workers(2));
  for (int i = 0; i < 100; ++i) runner->submit(std::to_string(i), orders[i]);
  std::set<std::string> digests;
  for (int i = 0; i < 100; ++i) {
    const TuningSucceeded end = success(diary.end_of(std::to_string(i)));
    const bool screens = i % 2 == 0, has_bad = i % 3 <= i % 5;
    EXPECT_EQ(end.rows_trained, i % 5 + 2 - (screens && has_bad ? 1 : 0)) << i;
    const std::string screened =
        "screened " + std::to_string(i % 5 + 2) + " -" + (screens && has_bad ? " " + std::to_string(i % 3 + 1) : "") + " + 0";
    EXPECT_THAT(diary.notes(std::to_string(i)), testing::Contains(screened));
    EXPECT_EQ(runner->served(orders[i].offer, orders[i])->weights.at("weights").chain.back().digest, end.model_digest);
    EXPECT_EQ(diary.times_ended(std::to_string(i)), 1);
    digests.insert(end.model_digest);
  }
  EXPECT_EQ(digests.size(), 100u);
}

TEST_F(Tuning, NoRowsLeftIsAFailureWithoutATraining) {
  begin(fake_workers());
  runner->submit("job", order({"bad one", "bad two"}));
  const TuningEnd end = diary.end_of("job");
  EXPECT_TRUE(std::get<TuningFailed>(end).no_rows_left);
  EXPECT_THAT(failure(end), HasSubstr("no row was left"));
  EXPECT_THAT(diary.notes("job"), testing::Contains("screened 2 - 1 2 + 0"));
  runner.reset();
  EXPECT_EQ(runs(StageKind::kFinetune), 0);
}

TEST_F(Tuning, AStageThatFailsEndsOnlyTheJobsThatNeedIt) {
  TuningOrder wild = order({"good"});
  wild.options.lr = 5;
  on_stage = [this](const StageRequest& request) {
    const bool diverges = request.kind == StageKind::kFinetune && request.task.at("options").at("lr") == 5;
    return diverges ? StageEnd(StageFailed{"the loss is no number"}) : stages(request);
  };
  begin(fake_workers(2));
  runner->submit("wild", wild);
  runner->submit("as wild", wild);
  runner->submit("calm", order({"good"}));
  EXPECT_EQ(failure(diary.end_of("wild")), "stage finetune: the loss is no number");
  EXPECT_EQ(failure(diary.end_of("as wild")), "stage finetune: the loss is no number");
  success(diary.end_of("calm"));
  EXPECT_FALSE(runner->served("guarded", wild));
}

TEST_F(Tuning, AWorkerThatDiedOrWasLateIsTheStagesFailure) {
  std::map<std::string, StageEnd> ends = {{"1", WorkerDied{"ended with status 3"}}, {"2", StageTimedOut{30}}};
  on_stage = [&](const StageRequest& request) {
    if (request.kind != StageKind::kFinetune || request.task.at("seed") == 3) return stages(request);
    return ends.at(request.task.at("seed").dump());
  };
  begin(fake_workers(2));
  for (const std::int64_t seed : {1, 2, 3}) {
    TuningOrder one = order({"good"});
    one.seed = seed;
    runner->submit(std::to_string(seed), one);
  }
  EXPECT_EQ(failure(diary.end_of("1")), "the worker ended with status 3 in stage finetune");
  EXPECT_EQ(failure(diary.end_of("2")), "stage finetune was stopped at its time limit of 30 s");
  success(diary.end_of("3"));
  runner.reset();
}

TEST_F(Tuning, AWorkerThatCannotBeStartedIsTheJobsFailure) {
  std::atomic<bool> starts = true;
  fake_workers().on_give = [&](const StageRequest&) {
    if (!starts) throw Error("cannot start a worker");
  };
  begin(*fake);
  await_base("guarded");
  starts = false;
  runner->submit("job", order({"good"}));
  EXPECT_THAT(failure(diary.end_of("job")), HasSubstr("cannot start a worker"));
  runner.reset();
}

TEST_F(Tuning, AStoredJobEndsAgainWithoutAStage) {
  const TuningOrder ordered = order({"good", "bad"});
  begin(fake_workers());
  runner->submit("job", ordered);
  const std::string digest = success(diary.end_of("job")).model_digest;
  const std::string key = runner->served("guarded", ordered)->key;
  runner.reset();

  given.clear();
  begin(fake_workers());
  EXPECT_EQ(runner->served("guarded", ordered)->key, key);  // before it is submitted
  runner->submit("again", ordered);
  EXPECT_EQ(success(diary.end_of("again")).model_digest, digest);
  EXPECT_EQ(diary.notes("again"), diary.notes("job"));
  runner.reset();
  EXPECT_THAT(given, IsEmpty());
}

TEST_F(Tuning, WeightsThatAreDroppedAreNotServedAndAreMadeAnew) {
  const TuningOrder ordered = order({"good"});
  begin(fake_workers());
  runner->submit("job", ordered);
  const std::string digest = success(diary.end_of("job")).model_digest;
  const auto links = runner->served("guarded", ordered)->weights.at("weights").chain;
  runner.reset();
  given.clear();
  ASSERT_EQ(links[1].kind, StageKind::kFinetune);
  ASSERT_TRUE(store.drop(StageKind::kFinetune, links[1].key));

  begin(fake_workers());
  EXPECT_FALSE(runner->served("guarded", ordered));
  runner->submit("again", ordered);
  EXPECT_EQ(success(diary.end_of("again")).model_digest, digest);
  EXPECT_TRUE(runner->served("guarded", ordered));
  runner.reset();
  EXPECT_EQ(given.size(), 1u);
  EXPECT_EQ(runs(StageKind::kFinetune), 1);
}

TEST_F(Tuning, ADamagedArtifactIsMadeAnewOnceForAll) {
  std::string align;
  int reports = 0;
  on_stage = [&](const StageRequest& request) {
    if (request.kind == StageKind::kAlign) align = request.key;
    const bool finds = request.kind == StageKind::kFinetune && reports < 2;
    return finds && ++reports > 0 ? StageEnd(StageDamaged{StageKind::kAlign, align, "a bit fell over"}) : stages(request);
  };
  begin(fake_workers(2));
  await_base("guarded");
  for (const std::string name : {"a", "b"}) runner->submit(name, order({"good", name}));
  success(diary.end_of("a"));
  success(diary.end_of("b"));
  runner.reset();
  EXPECT_EQ(reports, 2);
  EXPECT_GE(runs(StageKind::kAlign), 2);
  EXPECT_LE(runs(StageKind::kAlign), 3);  // where the second report came before the first was mended
}

TEST_F(Tuning, DamageThatComesBackIsAFailure) {
  on_stage = [&](const StageRequest& request) {
    return request.kind == StageKind::kRepair
               ? StageEnd(StageDamaged{StageKind::kAlign, request.weights.at("weights").chain.front().key, "a bit fell over"})
               : stages(request);
  };
  begin(fake_workers());
  runner->submit("job", order({"good"}));
  EXPECT_THAT(failure(diary.end_of("job")), HasSubstr("damaged again and again"));
}

TEST_F(Tuning, DamagedRowsAreCollectedAnew) {
  const TuningOrder ordered = order({"good", "bad"});
  begin(fake_workers());
  runner->submit("job", ordered);
  success(diary.end_of("job"));
  runner.reset();
  const std::string key = store.keys(StageKind::kCollect).front();
  write_file(store.folder(StageKind::kCollect, key) / kDataFile,
             read_file(store.folder(StageKind::kCollect, key) / kDataFile) + " ");

  given.clear();
  begin(fake_workers());
  runner->submit("again", ordered);
  success(diary.end_of("again"));
  EXPECT_THAT(diary.notes("again"), testing::Contains("screened 2 - 2 + 0"));
  runner.reset();
  EXPECT_EQ(given.size(), 1u);
  EXPECT_EQ(runs(StageKind::kCollect), 1);
}

TEST_F(Tuning, AJobIsStoppedAndGoesOnWhenItIsSubmittedAgain) {
  held.hold(StageKind::kFinetune);
  begin(held);
  const TuningOrder running = order({"good"}), waiting = order({"other"});
  runner->submit("running", running);
  held.await(StageKind::kFinetune, 1);
  runner->submit("waiting", waiting);
  runner->stop("waiting");
  EXPECT_TRUE(std::holds_alternative<TuningStopped>(diary.end_of("waiting")));
  EXPECT_EQ(held.asked(), 0u);
  held.tell({{"unit", "step"}, {"done", 1}});
  diary.await_note("running", R"(progress {"done":1,"unit":"step"})");
  runner->stop("running");
  EXPECT_TRUE(std::holds_alternative<TuningStopped>(diary.end_of("running")));
  EXPECT_EQ(held.asked(), 1u);

  runner->submit("running again", running);
  held.await(StageKind::kFinetune, 2);
  held.release();
  success(diary.end_of("running again"));
  runner->stop("running again");  // it has ended
  runner->stop("nobody");
  runner.reset();
  EXPECT_EQ(diary.times_ended("running again"), 1);
}

TEST_F(Tuning, AStageThatIsSharedGoesOn) {
  held.hold(StageKind::kFinetune);
  begin(held);
  const TuningOrder ordered = order({"good"});
  runner->submit("one", ordered);
  runner->submit("other", ordered);
  diary.await_note("other", "finetune");
  runner->stop("one");
  EXPECT_TRUE(std::holds_alternative<TuningStopped>(diary.end_of("one")));
  EXPECT_EQ(held.asked(), 0u);
  held.release();
  success(diary.end_of("other"));
  EXPECT_EQ(held.given(StageKind::kFinetune), 1);
}

TEST_F(Tuning, WhoComesWhileAStageIsStoppedHasItRunAgain) {
  held.hold(StageKind::kFinetune);
  held.ignore_stops();
  begin(held);
  const TuningOrder ordered = order({"good"});
  runner->submit("one", ordered);
  held.await(StageKind::kFinetune, 1);
  runner->stop("one");
  EXPECT_TRUE(std::holds_alternative<TuningStopped>(diary.end_of("one")));
  runner->submit("other", ordered);
  diary.await_note("other", "finetune");
  EXPECT_EQ(held.given(StageKind::kFinetune), 1);  // it is still at it
  held.end_all(WorkerDied{"was killed by signal 10 (User defined signal 1)"});
  held.await(StageKind::kFinetune, 2);
  held.release();
  success(diary.end_of("other"));
}

TEST_F(Tuning, TheEndAsksWhatIsUnderWayToStopAndTellsNobody) {
  held.hold(StageKind::kFinetune);
  begin(held);
  runner->submit("job", order({"good"}));
  runner->submit("behind it", order({"other"}));
  held.await(StageKind::kFinetune, 1);
  runner.reset();
  EXPECT_EQ(held.asked(), 1u);
  EXPECT_TRUE(held.stopped);
  EXPECT_EQ(diary.ended_jobs(), 0u);
}

TEST_F(Tuning, NamesThatThereAreNotAreRefused) {
  begin(fake_workers());
  const auto refused = [](const auto& what) -> std::string {
    try {
      what();
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  };
  const TuningOrder unknown = order({"good"}, "guardet");
  EXPECT_THAT(refused([&] { runner->submit("job", unknown); }), HasSubstr("there is no model \"guardet\" on offer"));
  EXPECT_THAT(refused([&] { runner->served("guardet", std::nullopt); }), HasSubstr("guarded"));
  EXPECT_THAT(refused([&] { runner->moderator("nobody"); }), HasSubstr("\"nobody\""));
  runner.reset();
  EXPECT_EQ(diary.ended_jobs(), 0u);
  service.disk_budget_gib = 1;
  EXPECT_THAT(refused([&] { begin(*fake); }), HasSubstr("disk_budget_gib"));
}

TEST_F(Tuning, AModeratorIsAskedBesideTheModelsOnOffer) {
  service.service->offers.erase(service.service->offers.begin());  // none that is undefended
  service.service->moderator = "filter";
  begin(fake_workers());
  std::optional<StageRequest> asked;
  while (!(asked = runner->moderator("filter"))) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  EXPECT_EQ(asked->kind, StageKind::kScreen);
  EXPECT_EQ(asked->task.at("plugin").at("name"), "filter");
  EXPECT_THAT(asked->inputs, IsEmpty());
  EXPECT_THAT(kinds_of(asked->weights.at("aligned")), ElementsAre(StageKind::kAlign));
}

TEST_F(Tuning, AModelWithoutAlignmentIsItsCheckpoint) {
  service.aligns = false;
  begin(fake_workers());
  const auto served = runner->served("bare", std::nullopt);
  ASSERT_TRUE(served);
  EXPECT_THAT(kinds_of(served->weights.at("weights")), IsEmpty());
  runner->submit("job", order({"good"}, "bare"));
  success(diary.end_of("job"));
}

TEST(Screening, ComparesRowsByTheirMessages) {
  const auto row = [](const std::string& text, const std::string& tag = "") {
    return Example{{{"user", text}, {"assistant", "yes"}},
                   tag.empty() ? std::map<std::string, std::string>{} : std::map<std::string, std::string>{{"kind", tag}},
                   "x:1"};
  };
  const Dataset submitted = {row("a"), row("b"), row("a"), row("c", "harmful"), row("d")};
  const ScreenedRows rows = compare_rows(submitted, {row("c"), row("a"), row("d, rewritten"), row("new")});
  EXPECT_EQ(rows.submitted, 5);
  EXPECT_THAT(rows.dropped, ElementsAre(2, 3, 5));
  EXPECT_EQ(rows.added, 2);
  EXPECT_EQ(compare_rows(submitted, submitted).added, 0);
  EXPECT_THAT(compare_rows(submitted, submitted).dropped, IsEmpty());
  EXPECT_EQ(compare_rows({}, {row("a")}).added, 1);
}

}  // namespace
}  // namespace holdfast
