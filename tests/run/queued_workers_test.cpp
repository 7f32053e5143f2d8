#include "run/queued_workers.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/process_name.h"
#include "base/scratch_folder.h"
#include "queue/directory_queue.h"
#include "run/posted_stages.h"
#include "run/posted_work.h"
#include "store/put.h"

namespace holdfast {
namespace {

const std::string kWorker = "000000000000-1-1";  // of another machine

class QueuedWorkersTest : public testing::Test {
 protected:
  std::unique_ptr<QueuedWorkers> run(QueuedWorkers::Settings settings = {}, double missing_for = 0.2) {
    settings.places = 4;
    settings.missing_for = missing_for;
    return std::make_unique<QueuedWorkers>(std::make_unique<DirectoryQueue>(folder / "store" / kQueue), store,
                                           std::move(settings));
  }
  // The lease of what comes first.
  Lease taken() {
    const auto ready = queue.ready();
    EXPECT_FALSE(ready.empty());
    return *queue.take(ready.front(), kWorker, 60);
  }
  void finish(const Lease& lease, const StageEnd& end) {
    std::map<std::string, StageEnd> ends;
    for (const auto& key : posted_keys(lease.work)) ends.emplace(key, end);
    EXPECT_TRUE(queue.finish(lease, to_json(ends)));
  }
  // All news until a stage ends, or for so many turns.
  std::vector<WorkerNews> news_of(QueuedWorkers& workers, int turns = 2000) {
    std::vector<WorkerNews> all;
    for (int turn = 0; turn < turns; ++turn) {
      for (auto& each : workers.wait()) all.push_back(std::move(each));
      if (!all.empty() && std::holds_alternative<StageEnd>(all.back().what)) break;
    }
    return all;
  }
  static StageEnd end_in(const std::vector<WorkerNews>& news) { return std::get<StageEnd>(news.back().what); }

  ScratchFolder folder;
  Store store{folder / "store"};
  DirectoryQueue queue{folder / "store" / kQueue};
};

TEST_F(QueuedWorkersTest, AStageBeginsWhenItIsTakenAndEndsAsTheWorkerSays) {
  const auto workers = run();
  EXPECT_TRUE(workers->is_free(2));
  EXPECT_FALSE(workers->give(2, {stage_named('a')}));
  EXPECT_FALSE(workers->is_free(2));
  EXPECT_TRUE(news_of(*workers, 3).empty());
  const Lease lease = taken();
  queue.beat(lease, {2, 60, {{"unit", "step"}, {"done", 1}, {"total", 2}}});
  auto news = news_of(*workers, 3);
  ASSERT_GE(news.size(), 2u);
  EXPECT_EQ(news[0].worker, 2u);
  EXPECT_TRUE(std::holds_alternative<StageBegan>(news[0].what));
  EXPECT_EQ(std::get<StageProgress>(news[1].what).progress.at("done"), 1);
  finish(lease, StageDone{"digest", 2, 3});
  news = news_of(*workers);
  EXPECT_EQ(std::get<StageDone>(end_in(news)).digest, "digest");
  EXPECT_TRUE(workers->is_free(2));
  EXPECT_TRUE(queue.view().ended.empty());  // read and forgotten
}

TEST_F(QueuedWorkersTest, MembersOfAGangEndEachForItself) {
  const auto workers = run();
  workers->give(0, {stage_named('a'), stage_named('b')});
  const Lease lease = taken();
  queue.finish(lease, to_json({{stage_named('a').key, StageDone{"digest", 1, 1}}, {stage_named('b').key, StageFailed{"no"}}}));
  const auto news = news_of(*workers);
  std::map<std::size_t, StageEnd> ends;
  for (const auto& each : news) {
    if (const auto* end = std::get_if<StageEnd>(&each.what)) ends.emplace(each.stage, *end);
  }
  ASSERT_EQ(ends.size(), 2u);
  EXPECT_TRUE(std::holds_alternative<StageDone>(ends.at(0)));
  EXPECT_EQ(std::get<StageFailed>(ends.at(1)).message, "no");
}

// As after an interruption: what is under way is waited for, what waits is posted anew.
TEST_F(QueuedWorkersTest, AnotherRunTakesThePlaceOfOneThatIsGone) {
  auto first = run();
  first->give(0, {stage_named('a', StageKind::kFinetune, 9), stage_named('b', StageKind::kFinetune, 9)});
  const Lease lease = taken();
  first->give(1, {stage_named('c')});
  first->stop();  // interrupted
  first.reset();
  const auto second = run();
  EXPECT_TRUE(queue.view().ready.empty());
  second->give(0, {stage_named('b')});
  EXPECT_TRUE(queue.view().ready.empty());  // not posted a second time
  second->give(1, {stage_named('c')});
  EXPECT_EQ(queue.view().ready.size(), 1u);
  finish(lease, StageDone{"digest", 1, 1});
  const auto news = news_of(*second);
  EXPECT_EQ(news.back().worker, 0u);
  EXPECT_EQ(std::get<StageDone>(end_in(news)).digest, "digest");
}

TEST_F(QueuedWorkersTest, WhatIsNowhereAndStoredIsDone) {
  const auto workers = run();
  StageRequest stage = stage_named('a', StageKind::kCollect);
  workers->give(0, {stage});
  const Manifest stored = put(store, stage.key, "rows\n");
  queue.withdraw(stage.key);  // as if another run had read how it ended
  const auto news = news_of(*workers);
  EXPECT_EQ(std::get<StageDone>(end_in(news)).digest, stored.digest);
}

TEST_F(QueuedWorkersTest, WhatIsNowhereAndNotStoredIsPostedAgain) {
  const auto workers = run();
  workers->give(0, {stage_named('a')});
  queue.withdraw(stage_named('a').key);
  for (int turn = 0; turn < 2000 && queue.view().ready.empty(); ++turn) workers->wait();
  EXPECT_TRUE(queue.view().ready.contains(stage_named('a').key));
  EXPECT_FALSE(workers->is_free(0));
}

// On a file server the artifact may be seen after the word that it is there.
TEST_F(QueuedWorkersTest, AStageEndsOnceWhatItBroughtIsSeen) {
  const auto workers = run({}, 60);
  const StageRequest stage = stage_named('a', StageKind::kCollect);
  workers->give(0, {stage});
  finish(taken(), StageDone{"digest", 1, 1});
  EXPECT_TRUE(news_of(*workers, 5).empty());
  EXPECT_FALSE(workers->is_free(0));
  put(store, stage.key, "rows\n");
  EXPECT_EQ(std::get<StageDone>(end_in(news_of(*workers))).digest, "digest");
  EXPECT_TRUE(workers->is_free(0));
}

TEST_F(QueuedWorkersTest, AnEndThatCannotBeReadIsNone) {
  const auto workers = run();
  const std::string id = stage_named('a').key;
  workers->give(0, {stage_named('a')});
  finish(taken(), StageDone{"digest", 1, 1});
  write_file(folder / "store" / kQueue / "ended" / id / "ended.json", "");
  for (int turn = 0; turn < 2000 && queue.view().ready.empty(); ++turn) workers->wait();
  EXPECT_TRUE(queue.view().ready.contains(id));
  EXPECT_TRUE(queue.view().ended.empty());
}

TEST_F(QueuedWorkersTest, AWorkerThatSaysSomethingElseCostsItsStagesAndNoMore) {
  const auto workers = run();
  workers->give(0, {stage_named('a')});
  const Lease lease = taken();
  queue.sign(Party::kWorker, kWorker, {1, 60, {{"busy", "yes"}}});
  for (const Json& about : std::vector<Json>{"half", {{"unit", 5}}, {{"unit", "step"}, {"done", 1.5}, {"total", 2}}}) {
    queue.beat(lease, {2, 60, about});
    for (const auto& each : news_of(*workers, 3)) EXPECT_FALSE(std::holds_alternative<StageProgress>(each.what)) << about;
  }
  queue.finish(lease, {{stage_named('a').key, {{"end", "done"}, {"digest", "x"}, {"seconds", 1}, {"bytes", 1e300}}}});
  const auto news = news_of(*workers);
  EXPECT_THAT(std::get<StageFailed>(end_in(news)).message,
              testing::HasSubstr("its worker did not say how it ended, but something else: "));
  EXPECT_TRUE(workers->is_free(0));
}

TEST_F(QueuedWorkersTest, WhatLosesEveryWorkerIsGivenUp) {
  const auto workers = run();
  workers->give(0, {stage_named('a')});
  const std::string dead = process_name().substr(0, process_name().find('-')) + "-4194305-1";
  for (int i = 0; i < 11; ++i) {
    const auto ready = queue.ready();
    ASSERT_EQ(ready.size(), 1u);
    ASSERT_TRUE(queue.take(ready.front(), dead, 60));
  }
  const auto news = news_of(*workers);
  EXPECT_EQ(std::get<WorkerDied>(end_in(news)).how, "was lost 11 times, another one each time,");
  EXPECT_TRUE(queue.view().ready.empty());
  EXPECT_TRUE(workers->is_free(0));
}

TEST_F(QueuedWorkersTest, CountsWhoIsThereAndWhoIsIdle) {
  std::vector<std::pair<std::size_t, std::size_t>> told;
  QueuedWorkers::Settings settings;
  settings.expected = 3;
  settings.on_count = [&](std::size_t there, std::size_t waiting) { told.emplace_back(there, waiting); };
  queue.sign(Party::kWorker, kWorker, {1, 60, {{"busy", true}}});
  const auto workers = run(std::move(settings));
  EXPECT_EQ(told.back(), std::pair(std::size_t{1}, std::size_t{0}));
  EXPECT_EQ(workers->hands(), 3u);
  EXPECT_EQ(workers->idle(), 2u);
  workers->give(0, {stage_named('a')});
  EXPECT_EQ(workers->idle(), 1u);
  workers->give(1, {stage_named('b')});
  EXPECT_EQ(workers->idle(), 1u);  // at least
}

TEST_F(QueuedWorkersTest, ARunThatIsOverSignsOff) {
  const auto workers = run();
  workers->wait();
  EXPECT_EQ(queue.signs(Party::kRun).size(), 1u);
  workers->stop();
  EXPECT_TRUE(queue.signs(Party::kRun).empty());
}

}  // namespace
}  // namespace holdfast
