#include "run/pull.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <thread>

#include "base/scratch_folder.h"
#include "queue/directory_queue.h"
#include "run/posted_stages.h"
#include "run/posted_work.h"
#include "store/put.h"

namespace holdfast {
namespace {

// Stages are run by a script. Descriptors 3 and 4: base/worker_process.h.
class PullTest : public testing::Test {
 protected:
  PullOptions options(const std::string& script) {
    const fs::path program = folder / "program";
    write_file(program, "#!/bin/sh\nread setup <&3\n" + script + "\n");
    fs::permissions(program, fs::perms::owner_all);
    PullOptions made;
    made.store = store.root();
    made.program = program;
    made.idle = 0.3;
    made.grace = 2;
    return made;
  }
  void post(const std::vector<StageRequest>& stages, double timeout = 60) {
    StageLimits limits;
    limits.stage_timeout = timeout;
    queue.post(posting_of(stages, limits));
  }
  StageEnd end_of(char letter) {
    const auto ends = queue.ends_of(std::string(64, letter));
    EXPECT_TRUE(ends);
    return stage_ends_from_json(*ends).at(std::string(64, letter));
  }

  ScratchFolder folder;
  Store store{folder / "store"};
  DirectoryQueue queue{store.root() / kQueue};
};

constexpr char kAnswers[] =
    "while read request <&3; do echo '{\"status\":\"ok\",\"digest\":\"d\",\"cost\":{\"seconds\":2},\"bytes\":7,\"warm\":[]}' "
    ">&4; done";

TEST_F(PullTest, RunsWhatIsThereAndEndsWhenNothingIs) {
  post({stage_named('a')});
  post({stage_named('b')});
  EXPECT_EQ(pull(queue, options(kAnswers)), PullEnd::kNothingLeft);
  EXPECT_EQ(std::get<StageDone>(end_of('a')).bytes, 7u);
  EXPECT_EQ(std::get<StageDone>(end_of('b')).digest, "d");
  EXPECT_TRUE(queue.signs(Party::kWorker).empty());
}

TEST_F(PullTest, WhatIsStoredAlreadyIsDone) {
  const Manifest stored = put(store, std::string(64, 'a'), "rows\n");
  post({stage_named('a', StageKind::kCollect)});
  pull(queue, options("exit 9"));
  EXPECT_EQ(std::get<StageDone>(end_of('a')).digest, stored.digest);
}

TEST_F(PullTest, AProcessThatDiesIsAnEndOfItsStageAndOfNoOther) {
  post({stage_named('a', StageKind::kJudge, 0.5)});  // the first
  post({stage_named('b')});
  pull(queue, options("read request <&3; case $request in *aaaa*) exit 3 ;; esac\n"
                      "echo '{\"status\":\"ok\",\"digest\":\"d\",\"cost\":{},\"bytes\":7,\"warm\":[]}' >&4; read more <&3"));
  EXPECT_EQ(std::get<WorkerDied>(end_of('a')).how, "ended with status 3");
  EXPECT_TRUE(std::holds_alternative<StageDone>(end_of('b')));
}

TEST_F(PullTest, AStageIsStoppedAtItsTimeLimit) {
  post({stage_named('a')}, 0.2);
  pull(queue, options("exec sleep 60"));
  EXPECT_EQ(std::get<StageTimedOut>(end_of('a')).limit, 0.2);
}

TEST_F(PullTest, ASignalHasTheStageStopAndGivesItBack) {
  post({stage_named('a')});
  std::jthread signal([&] {
    while (queue.view().leased.empty()) std::this_thread::sleep_for(std::chrono::milliseconds(10));
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
    ::kill(::getpid(), SIGUSR1);
  });
  // As the worker process does: the next place where it can stop is soon.
  EXPECT_EQ(pull(queue, options("trap 'echo \"{\\\"status\\\":\\\"stopped\\\",\\\"warm\\\":[]}\" >&4' USR1\n"
                                "read request <&3; while :; do sleep 0.05; done")),
            PullEnd::kStopped);
  const auto view = queue.view();
  ASSERT_TRUE(view.ready.contains(std::string(64, 'a')));
  EXPECT_EQ(view.ready.begin()->second.lost, 0);
  EXPECT_TRUE(view.ended.empty());
}

TEST_F(PullTest, OneThatDoesNotStopIsStopped) {
  post({stage_named('a', StageKind::kJudge, 0.1)});
  PullOptions given = options("trap '' USR1; read request <&3; while :; do sleep 0.05; done");
  given.seconds = 2.5;  // half a second to run, a second for the stage to stop
  EXPECT_EQ(pull(queue, given), PullEnd::kStopped);
  EXPECT_TRUE(queue.view().ready.contains(std::string(64, 'a')));
}

// Slurm signals all processes of a job: what fails of that fails no cell.
TEST_F(PullTest, WhatDiesWhileItsWorkerIsEndedIsGivenBack) {
  post({stage_named('a')});
  std::jthread signal([&] {
    while (queue.view().leased.empty()) std::this_thread::sleep_for(std::chrono::milliseconds(10));
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
    ::kill(::getpid(), SIGTERM);
  });
  EXPECT_EQ(pull(queue, options("trap 'exit 3' USR1; read request <&3; while :; do sleep 0.05; done")), PullEnd::kStopped);
  EXPECT_TRUE(queue.view().ready.contains(std::string(64, 'a')));
  EXPECT_TRUE(queue.view().ended.empty());
}

TEST_F(PullTest, WithoutARunItDoesNotWantToComeBackWhenItsTimeIsOver) {
  PullOptions given = options(kAnswers);
  given.idle = 60;
  given.seconds = 2.3;
  EXPECT_EQ(pull(queue, given), PullEnd::kNothingLeft);
  queue.sign(Party::kRun, "000000000000-1-1", {1, 60, Json::object()});
  EXPECT_EQ(pull(queue, given), PullEnd::kStopped);
}

TEST_F(PullTest, TakesNothingThatDoesNotFitBeforeItsEnd) {
  post({stage_named('a', StageKind::kJudge, 1)});
  post({stage_named('b', StageKind::kJudge, 1.3)});  // an estimate may be half too low
  PullOptions given = options("sleep 1.6\n" + std::string(kAnswers));
  given.seconds = 5;
  pull(queue, given);
  EXPECT_EQ(std::get<StageDone>(end_of('a')).bytes, 7u);
  EXPECT_TRUE(queue.view().ready.contains(std::string(64, 'b')));
}

TEST_F(PullTest, BeginsWhatIsLongerThanItsWholeTime) {
  post({stage_named('a', StageKind::kJudge, 100)});
  PullOptions given = options(kAnswers);
  given.seconds = 60;
  EXPECT_EQ(pull(queue, given), PullEnd::kNothingLeft);
  EXPECT_EQ(std::get<StageDone>(end_of('a')).bytes, 7u);
}

// A worker that others took for lost ends what it was at.
TEST_F(PullTest, AWorkerThatLostItsLeaseGivesUp) {
  post({stage_named('a')});
  std::jthread thief([&] {
    while (queue.view().leased.empty()) std::this_thread::sleep_for(std::chrono::milliseconds(10));
    for (const auto& [id, lease] : queue.view().leased) {
      fs::rename(store.root() / kQueue / "leased" / lease.name, folder / "taken");
    }
  });
  PullOptions given = options("read request <&3; sleep 60");
  given.lost_after = 1.2;
  EXPECT_EQ(pull(queue, given), PullEnd::kNothingLeft);
  EXPECT_TRUE(queue.view().ended.empty());
}

}  // namespace
}  // namespace holdfast
