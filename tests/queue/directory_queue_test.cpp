#include "queue/directory_queue.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <holdfast/error.h>
#include <unistd.h>

#include <chrono>
#include <functional>
#include <set>
#include <thread>

#include "base/process_name.h"
#include "base/scratch_folder.h"

namespace holdfast {
namespace {

// Of another machine, so that nobody knows whether it lives.
std::string elsewhere(std::size_t number) { return "000000000000-" + std::to_string(number) + "-1"; }
const std::string kElsewhere = elsewhere(1);

class DirectoryQueueTest : public testing::Test {
 protected:
  Posting posting(const std::string& id) {
    Posting made;
    made.id = id;
    made.path = made.seconds = 1;
    made.work = {{"id", id}};
    return made;
  }
  Lease taken(const std::string& worker = kElsewhere, double lost_after = 60) {
    const auto ready = queue.ready();
    EXPECT_EQ(ready.size(), 1u);
    auto lease = queue.take(ready.front(), worker, lost_after);
    EXPECT_TRUE(lease);
    return *lease;
  }
  void wait(double seconds) { std::this_thread::sleep_for(std::chrono::duration<double>(seconds)); }

  ScratchFolder folder;
  DirectoryQueue queue{folder / "queue"};
};

TEST_F(DirectoryQueueTest, WorkGoesFromReadyToLeasedToEnded) {
  queue.post(posting("a"));
  EXPECT_TRUE(queue.view().ready.contains("a"));
  const Lease lease = taken();
  EXPECT_EQ(lease.id, "a");
  EXPECT_EQ(lease.token, 1);
  EXPECT_EQ(lease.work.at("id"), "a");
  EXPECT_TRUE(queue.ready().empty());
  EXPECT_TRUE(queue.beat(lease, {2, 60, {{"done", 3}}}));
  const QueueView view = queue.view();
  ASSERT_TRUE(view.leased.contains("a"));
  EXPECT_EQ(view.leased.at("a").worker, kElsewhere);
  EXPECT_EQ(view.leased.at("a").progress.at("done"), 3);
  EXPECT_EQ(queue.work_of(view.leased.at("a"))->at("id"), "a");
  EXPECT_TRUE(queue.finish(lease, {{"end", "well"}}));
  EXPECT_EQ(queue.view().ended, std::vector<std::string>{"a"});
  EXPECT_EQ(queue.ends_of("a")->at("end"), "well");
  queue.forget("a");
  EXPECT_TRUE(queue.view().ended.empty());
  EXPECT_FALSE(queue.ends_of("a"));
}

TEST_F(DirectoryQueueTest, OneOfManyGetsIt) {
  queue.post(posting("a"));
  const auto ready = queue.ready();
  int winners = 0;
  for (int i = 0; i < 8; ++i) winners += queue.take(ready.front(), elsewhere(i), 60) ? 1 : 0;
  EXPECT_EQ(winners, 1);
}

TEST_F(DirectoryQueueTest, EachOfManyIsTakenOnceByThreadsAtOnce) {
  for (int i = 0; i < 200; ++i) queue.post(posting("p" + std::to_string(i)));
  std::vector<std::set<std::string>> got(4);
  {
    std::vector<std::jthread> threads;
    for (std::size_t number = 0; number < got.size(); ++number) {
      threads.emplace_back([&, number] {
        DirectoryQueue own(folder / "queue");
        for (const auto& each : own.ready()) {
          if (const auto lease = own.take(each, elsewhere(number), 60)) got[number].insert(lease->id);
        }
      });
    }
  }
  std::size_t sum = 0;
  std::set<std::string> all;
  for (const auto& mine : got) {
    sum += mine.size();
    all.insert(mine.begin(), mine.end());
  }
  EXPECT_EQ(sum, 200u);
  EXPECT_EQ(all.size(), 200u);
}

TEST_F(DirectoryQueueTest, WhatIsGivenBackIsReadyWithAllElseGone) {
  queue.post(posting("a"));
  const Lease lease = taken();
  fs::create_directories(lease.folder / "made.1");
  queue.give_back(lease);
  EXPECT_FALSE(fs::exists(lease.folder));
  const Lease again = taken();
  EXPECT_EQ(again.token, 2);
  EXPECT_EQ(queue.view().leased.at("a").takes.lost, 0);
  EXPECT_FALSE(fs::exists(again.folder / "made.1"));
  EXPECT_EQ(again.work.at("id"), "a");
}

TEST_F(DirectoryQueueTest, ASilentWorkerLosesItsWorkAndCanPublishNothing) {
  queue.post(posting("a"));
  const Lease late = taken(kElsewhere, 0.2);
  fs::create_directories(late.folder / "made.1");
  EXPECT_TRUE(queue.ready().empty());  // the beat was seen for the first time
  wait(0.25);
  const Lease lease = taken();
  EXPECT_EQ(lease.token, 2);
  EXPECT_EQ(queue.view().leased.at("a").takes.lost, 1);
  EXPECT_FALSE(queue.beat(late, {5, 60}));
  EXPECT_FALSE(queue.finish(late, {{"end", "late"}}));
  std::error_code failure;
  fs::rename(late.folder / "made.1", folder / "published", failure);
  EXPECT_TRUE(failure);
  queue.give_back(late);  // changes nothing
  EXPECT_TRUE(queue.beat(lease, {2, 60}));
  EXPECT_TRUE(queue.finish(lease, {{"end", "well"}}));
  EXPECT_FALSE(queue.finish(late, {{"end", "late"}}));
  EXPECT_EQ(queue.ends_of("a")->at("end"), "well");
}

TEST_F(DirectoryQueueTest, WhoTookItAndNeverShowedABeatLosesItToo) {
  Posting made = posting("a");
  made.lost_after = 0.2;
  queue.post(made);
  fs::remove(taken().folder / "beat.json");
  EXPECT_TRUE(queue.ready().empty());
  wait(0.25);
  EXPECT_EQ(queue.ready().size(), 1u);
}

TEST_F(DirectoryQueueTest, ABeatThatChangesKeepsTheWork) {
  queue.post(posting("a"));
  const Lease lease = taken(kElsewhere, 0.3);
  for (int i = 2; i < 8; ++i) {
    EXPECT_TRUE(queue.ready().empty());
    wait(0.1);
    EXPECT_TRUE(queue.beat(lease, {i, 0.3}));
  }
  EXPECT_TRUE(queue.ready().empty());
}

TEST_F(DirectoryQueueTest, AWorkerOfThisMachineThatDiedLosesItsWorkAtOnce) {
  queue.post(posting("a"));
  const std::string machine = process_name().substr(0, process_name().find('-'));
  taken(machine + "-4194305-1");
  EXPECT_EQ(queue.ready().size(), 1u);
}

TEST_F(DirectoryQueueTest, WhatNobodyTookCanBeWithdrawn) {
  queue.post(posting("a"));
  EXPECT_TRUE(queue.withdraw("a"));
  EXPECT_FALSE(queue.withdraw("a"));
  EXPECT_TRUE(queue.ready().empty());
  queue.post(posting("b"));
  taken();
  EXPECT_FALSE(queue.withdraw("b"));
}

TEST_F(DirectoryQueueTest, AnEndThatNobodyReadGivesWayToTheNext) {
  for (const char* end : {"first", "second"}) {
    queue.post(posting("a"));
    EXPECT_TRUE(queue.finish(taken(), {{"end", end}}));
  }
  EXPECT_EQ(queue.ends_of("a")->at("end"), "second");
}

TEST_F(DirectoryQueueTest, DamagedWorkIsNoWork) {
  queue.post(posting("a"));
  write_file(folder / "queue" / "ready" / queue.ready().front().name / "request.json",
             "{\"id\":");  // takes seconds: it may be late
  EXPECT_FALSE(queue.take(queue.ready().front(), kElsewhere, 60));
  EXPECT_TRUE(queue.view().leased.empty());
  EXPECT_TRUE(queue.view().ready.empty());
}

TEST_F(DirectoryQueueTest, SignsTellWhoIsThere) {
  queue.sign(Party::kWorker, kElsewhere, {1, 0.2, {{"host", "n1"}}});
  queue.sign(Party::kWorker, process_name(), {1, 60});
  auto signs = queue.signs(Party::kWorker);
  ASSERT_EQ(signs.size(), 2u);
  EXPECT_TRUE(queue.signs(Party::kRun).empty());
  wait(0.25);
  for (const auto& sign : queue.signs(Party::kWorker)) {
    EXPECT_EQ(sign.lost, sign.name == kElsewhere);
    if (sign.name == kElsewhere) {
      EXPECT_EQ(sign.about.at("host"), "n1");
    }
  }
  queue.sign(Party::kWorker, kElsewhere, {2, 0.2});
  for (const auto& sign : queue.signs(Party::kWorker)) EXPECT_FALSE(sign.lost);
  queue.sign_off(Party::kWorker, kElsewhere);
  EXPECT_EQ(queue.signs(Party::kWorker).size(), 1u);
}

TEST_F(DirectoryQueueTest, RemovesWhatDeadProcessesLeft) {
  const std::string machine = process_name().substr(0, process_name().find('-'));
  const fs::path dead = folder / "queue" / "tmp" / (machine + "-4194305-1.1"),
                 alive = folder / "queue" / "tmp" / (process_name() + ".7");
  fs::create_directories(dead);
  fs::create_directories(alive);
  DirectoryQueue another(folder / "queue");
  EXPECT_FALSE(fs::exists(dead));
  EXPECT_TRUE(fs::exists(alive));
}

// Then nobody took it, and going on is of no use.
TEST_F(DirectoryQueueTest, AQueueThatWasRemovedIsASentence) {
  queue.post(posting("a"));
  queue.post(posting("b"));
  const auto ready = queue.ready();
  const Lease lease = *queue.take(ready.front(), kElsewhere, 60);
  fs::remove_all(folder / "queue");
  const auto sentence = [](const std::function<void()>& what) -> std::string {
    try {
      what();
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  };
  const auto is_removed = testing::HasSubstr("was removed while it was in use: the same command makes a new one");
  EXPECT_THAT(sentence([&] { queue.beat(lease, {2, 60}); }), is_removed);
  EXPECT_THAT(sentence([&] { queue.finish(lease, {}); }), is_removed);
  EXPECT_THAT(sentence([&] { queue.post(posting("c")); }), is_removed);
  EXPECT_THAT(sentence([&] { queue.sign(Party::kRun, kElsewhere, {1, 60}); }), is_removed);
  EXPECT_FALSE(queue.take(ready.back(), kElsewhere, 60));
}

TEST_F(DirectoryQueueTest, AFolderThatCannotBeWrittenIsASentence) {
  write_file(folder / "file", "");
  try {
    DirectoryQueue wrong(folder / "file");
    FAIL();
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("cannot write the queue"), std::string::npos);
  }
}

}  // namespace
}  // namespace holdfast
