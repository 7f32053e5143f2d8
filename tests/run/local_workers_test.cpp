#include "run/local_workers.h"

#include <gtest/gtest.h>

#include "base/scratch_folder.h"
#include "run/interruption.h"

namespace holdfast {
namespace {

class LocalWorkersTest : public testing::Test {
 protected:
  fs::path script(const std::string& text) {
    const fs::path path = folder / "program";
    write_file(path, "#!/bin/sh\n" + text + "\n");
    fs::permissions(path, fs::perms::owner_all);
    return path;
  }

  WorkerSetup setup(const fs::path& program) { return {program, folder / "store"}; }

  // How one stage ends, whatever it is.
  StageEnd end_of_stage(LocalWorkers& workers) {
    workers.give(0, {StageRequest()});
    EXPECT_FALSE(workers.is_free(0));
    std::vector<WorkerNews> news;
    while (news.empty()) news = workers.wait();
    EXPECT_EQ(news.size(), 1u);
    EXPECT_EQ(news.front().worker, 0u);
    EXPECT_TRUE(workers.is_free(0));
    return std::get<StageEnd>(news.front().what);
  }

  const Interruption quiet;  // writing to a process that is gone is no signal
  ScratchFolder folder;
};

TEST_F(LocalWorkersTest, AStageThatCannotRunIsAFailureAndTheWorkerGoesOn) {
  LocalWorkers workers(setup(fs::path(HOLDFAST_BINARY_DIR) / "bin" / "holdfast"), 2, 60);
  EXPECT_EQ(workers.count(), 2u);
  for (int i = 0; i < 2; ++i) {
    const StageEnd end = end_of_stage(workers);
    ASSERT_TRUE(std::holds_alternative<StageFailed>(end));
    EXPECT_FALSE(std::get<StageFailed>(end).message.empty());
    EXPECT_TRUE(workers.is_free(1));
    EXPECT_TRUE(workers.warm(0).empty());
  }
}

TEST_F(LocalWorkersTest, ADeathSaysHow) {
  LocalWorkers workers(setup(script("read setup; exit 3")), 1, 60);
  const StageEnd end = end_of_stage(workers);
  ASSERT_TRUE(std::holds_alternative<WorkerDied>(end));
  EXPECT_EQ(std::get<WorkerDied>(end).how, "ended with status 3");
}

TEST_F(LocalWorkersTest, AStageIsStoppedAtItsTimeLimit) {
  LocalWorkers workers(setup(script("exec sleep 60")), 1, 0.2);
  const StageEnd end = end_of_stage(workers);
  ASSERT_TRUE(std::holds_alternative<StageTimedOut>(end));
  EXPECT_EQ(std::get<StageTimedOut>(end).limit, 0.2);
}

// Descriptors 3 and 4: base/worker_process.h.
TEST_F(LocalWorkersTest, TellsProgressAndWhatIsWarm) {
  LocalWorkers workers(setup(script(R"(read setup <&3; read request <&3
echo '{"progress":{"unit":"step","done":1,"total":2}}' >&4
echo '{"status":"ok","digest":"d","cost":{"seconds":2.5},"bytes":7,"warm":["w"]}' >&4
read more <&3)")),
                       1, 60);
  workers.give(0, {StageRequest()});
  std::vector<WorkerNews> all;
  while (!workers.is_free(0)) {
    for (auto& news : workers.wait()) all.push_back(std::move(news));
  }
  ASSERT_EQ(all.size(), 2u);
  EXPECT_EQ(std::get<StageProgress>(all[0].what).progress.at("done"), 1);
  const auto& done = std::get<StageDone>(std::get<StageEnd>(all[1].what));
  EXPECT_EQ(done.digest, "d");
  EXPECT_EQ(done.seconds, 2.5);
  EXPECT_EQ(done.bytes, 7u);
  EXPECT_EQ(workers.warm(0), (std::set<std::string>{"w"}));
  workers.stop();
  EXPECT_TRUE(workers.warm(0).empty());
}

TEST_F(LocalWorkersTest, EachStageOfAGangEndsByItselfAndADeathEndsTheOthers) {
  LocalWorkers workers(setup(script(R"(read setup <&3; read request <&3
case $request in \[{*},{*},{*}]) ;; *) exit 9 ;; esac
echo '{"stage":1,"status":"ok","digest":"d","cost":{},"bytes":7,"warm":["w"]}' >&4
exit 3)")),
                       1, 60);
  workers.give(0, {StageRequest(), StageRequest(), StageRequest()});
  std::vector<WorkerNews> all;
  while (!workers.is_free(0)) {
    for (auto& news : workers.wait()) all.push_back(std::move(news));
  }
  ASSERT_EQ(all.size(), 3u);
  EXPECT_EQ(all[0].stage, 1u);
  EXPECT_EQ(std::get<StageDone>(std::get<StageEnd>(all[0].what)).digest, "d");
  EXPECT_EQ((std::set<std::size_t>{all[1].stage, all[2].stage}), (std::set<std::size_t>{0, 2}));
  for (const std::size_t dead : {1, 2}) {
    EXPECT_EQ(std::get<WorkerDied>(std::get<StageEnd>(all[dead].what)).how, "ended with status 3");
  }
}

// One that may be broken still told how the others ended.
TEST_F(LocalWorkersTest, AGangIsHeardToItsEnd) {
  LocalWorkers workers(setup(script(R"(read setup <&3; read request <&3
echo '{"stage":0,"status":"failed","message":"no","broken":true,"warm":["w"]}' >&4
echo '{"stage":1,"status":"ok","digest":"d","cost":{},"bytes":7,"warm":["w"]}' >&4
read more <&3)")),
                       1, 60);
  workers.give(0, {StageRequest(), StageRequest()});
  std::vector<WorkerNews> all;
  while (!workers.is_free(0)) {
    for (auto& news : workers.wait()) all.push_back(std::move(news));
  }
  ASSERT_EQ(all.size(), 2u);
  EXPECT_TRUE(std::get<StageFailed>(std::get<StageEnd>(all[0].what)).broken);
  EXPECT_TRUE(std::holds_alternative<StageDone>(std::get<StageEnd>(all[1].what)));
  EXPECT_TRUE(workers.warm(0).empty()) << "its process was replaced";
}

TEST_F(LocalWorkersTest, AWorkerThatMayBeBrokenLosesWhatIsWarm) {
  LocalWorkers workers(setup(script(R"(read setup <&3; read request <&3
echo '{"status":"failed","message":"no","broken":true,"warm":["w"]}' >&4
read more <&3)")),
                       1, 60);
  const StageEnd end = end_of_stage(workers);
  EXPECT_EQ(std::get<StageFailed>(end).message, "no");
  EXPECT_TRUE(workers.warm(0).empty());
}

// The script says that it listens, as progress; its process is another after the stop, for it would stop again.
TEST_F(LocalWorkersTest, OneOfThemIsAskedToStop) {
  LocalWorkers workers(setup(script(R"(read setup <&3
trap 'echo "{\"status\":\"stopped\",\"warm\":[\"w\"]}" >&4' USR1
read request <&3
echo '{"progress":{"unit":"step","done":1,"total":2}}' >&4
while :; do sleep 0.05; done)")),
                       2, 60);
  workers.ask_to_stop(0);  // it does nothing yet
  for (const std::size_t worker : {0, 1}) workers.give(worker, {StageRequest()});
  std::set<std::size_t> listening;
  while (listening.size() < 2) {
    for (const auto& news : workers.wait()) listening.insert(news.worker);
  }
  workers.ask_to_stop(0);
  std::vector<WorkerNews> all;
  while (all.empty()) all = workers.wait();
  ASSERT_EQ(all.size(), 1u);
  EXPECT_EQ(all[0].worker, 0u);
  EXPECT_TRUE(std::holds_alternative<StageStopped>(std::get<StageEnd>(all[0].what)));
  EXPECT_TRUE(workers.is_free(0));
  EXPECT_TRUE(workers.warm(0).empty());
  EXPECT_FALSE(workers.is_free(1));
}

}  // namespace
}  // namespace holdfast
