#include "remote/http_queue.h"

#include <gmock/gmock.h>
#include <holdfast/error.h>
#include <httplib.h>

#include <chrono>
#include <thread>

#include "base/process_name.h"
#include "remote/odd_server.h"
#include "remote/served_store.h"

namespace holdfast {
namespace {

const std::string kWorker = "000000000000-7-1";

class HttpQueueTest : public ServedStore {
 protected:
  void post(char letter, double seconds = 1) {
    StageRequest made = stage(letter);
    made.estimate = {seconds, seconds, 0.5};
    queue.post(posting_of({made}, {}));
  }
  HttpQueue worker{*(serve(), client), cache.root()};
};

TEST_F(HttpQueueTest, WorkGoesFromReadyToLeasedToEndedAsTheRunSeesIt) {
  post('a', 12);
  const auto ready = worker.ready();
  ASSERT_EQ(ready.size(), 1u);
  EXPECT_EQ(ready.front().name, queue.ready().front().name);
  EXPECT_EQ(ready.front().posting.seconds, 12);
  const auto lease = worker.take(ready.front(), kWorker, 60);
  ASSERT_TRUE(lease);
  EXPECT_EQ(lease->worker, kWorker);
  EXPECT_EQ(lease->token, 1);
  EXPECT_EQ(posted_work(*lease).stages.front().document, stage('a').document);
  EXPECT_TRUE(fs::is_directory(lease->folder));
  EXPECT_TRUE(lease->folder.string().starts_with(cache.root().string())) << lease->folder;
  EXPECT_TRUE(worker.beat(*lease, {2, 60, {{"done", 3}}}));
  const QueueView view = queue.view();
  ASSERT_TRUE(view.leased.contains(lease->id));
  EXPECT_EQ(view.leased.at(lease->id).worker, kWorker);
  EXPECT_EQ(view.leased.at(lease->id).progress.at("done"), 3);
  EXPECT_TRUE(worker.finish(*lease, {{"how", "well"}}));
  EXPECT_FALSE(fs::exists(lease->folder));
  EXPECT_EQ(queue.view().ended, std::vector<std::string>{lease->id});
  EXPECT_EQ(queue.ends_of(lease->id)->at("how"), "well");
}

TEST_F(HttpQueueTest, OfTwoWorkersOneGetsIt) {
  post('a');
  const auto ready = worker.ready();
  const auto first = worker.take(ready.front(), kWorker, 60);
  ASSERT_TRUE(first);
  EXPECT_FALSE(worker.take(ready.front(), "000000000000-8-1", 60));
  const auto again = worker.take(ready.front(), kWorker, 60);
  ASSERT_TRUE(again) << "its first answer may have been lost";
  EXPECT_EQ(again->name, first->name);
  EXPECT_EQ(again->work, first->work);
}

TEST_F(HttpQueueTest, WhatIsGivenBackIsReadyAgain) {
  post('a');
  const auto lease = worker.take(worker.ready().front(), kWorker, 60);
  EXPECT_TRUE(worker.ready().empty());
  worker.give_back(*lease);
  EXPECT_FALSE(fs::exists(lease->folder));
  ASSERT_EQ(worker.ready().size(), 1u);
  EXPECT_EQ(worker.ready().front().takes.taken, 1);
}

TEST_F(HttpQueueTest, ASilentWorkerLosesItsLeaseAndWhatItHasOfIt) {
  post('a');
  const auto lease = worker.take(worker.ready().front(), kWorker, 0.3);
  write_file(lease->folder / "half", "made");
  ASSERT_TRUE(worker.ready().empty());
  std::this_thread::sleep_for(std::chrono::milliseconds(500));
  const auto again = worker.ready();
  ASSERT_EQ(again.size(), 1u);
  EXPECT_EQ(again.front().takes.lost, 1);
  EXPECT_FALSE(worker.beat(*lease, {2, 0.3, Json::object()}));
  EXPECT_FALSE(fs::exists(lease->folder));
  EXPECT_FALSE(worker.finish(*lease, Json::object()));
}

TEST_F(HttpQueueTest, WhoIsThereIsSeenByBothSides) {
  queue.sign(Party::kRun, process_name(), {1, 60, {{"scenario", "s"}}});
  ASSERT_EQ(worker.signs(Party::kRun).size(), 1u);
  EXPECT_EQ(worker.signs(Party::kRun).front().about.at("scenario"), "s");
  EXPECT_FALSE(worker.signs(Party::kRun).front().lost);
  worker.sign(Party::kWorker, kWorker, {1, 60, {{"busy", true}}});
  ASSERT_EQ(queue.signs(Party::kWorker).size(), 1u);
  EXPECT_EQ(queue.signs(Party::kWorker).front().name, kWorker);
  EXPECT_EQ(queue.signs(Party::kWorker).front().about.at("busy"), true);
  worker.sign_off(Party::kWorker, kWorker);
  EXPECT_TRUE(queue.signs(Party::kWorker).empty());
}

TEST_F(HttpQueueTest, WhatOnlyRunsDoSaysSo) {
  for (const std::function<void()>& call : std::initializer_list<std::function<void()>>{
           [&] { worker.post({}); }, [&] { worker.view(); }, [&] { worker.work_of({}); }, [&] { worker.ends_of("a"); },
           [&] { worker.forget("a"); }, [&] { worker.withdraw("a"); }, [&] { worker.sign(Party::kRun, "a", {}); },
           [&] { worker.sign_off(Party::kRun, "a"); }}) {
    try {
      call();
      ADD_FAILURE();
    } catch (const Error& error) {
      EXPECT_NE(std::string(error.what()).find("a run does, in the folder that is served there"), std::string::npos)
          << error.what();
    }
  }
}

TEST_F(HttpQueueTest, FoldersOfWorkersThatAreGoneAreRemoved) {
  const std::string gone = process_name().substr(0, process_name().find('-')) + "-1-999";
  fs::create_directories(cache.root() / "leases" / ("x~1~0~" + gone));
  fs::create_directories(cache.root() / "leases" / ("x~1~0~" + process_name()));
  const HttpQueue next(*client, cache.root());
  EXPECT_FALSE(fs::exists(cache.root() / "leases" / ("x~1~0~" + gone)));
  EXPECT_TRUE(fs::exists(cache.root() / "leases" / ("x~1~0~" + process_name())));
}

// Whoever waits asks about once a second; a thousand of them must be no burden.
TEST_F(HttpQueueTest, PollingIsCheap) {
  for (char letter = 'a'; letter <= 'f'; ++letter) post(letter);
  const auto begun = std::chrono::steady_clock::now();
  for (int i = 0; i < 1000; ++i) worker.ready();
  EXPECT_LT(std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count(), 3);
}

TEST_F(HttpQueueTest, AServerThatIsAwayForAMomentIsAskedAgain) {
  post('a');
  ServeOptions options;
  options.port = server->port();
  server.reset();
  std::thread later([&] {
    std::this_thread::sleep_for(std::chrono::seconds(1));
    options.store = store.root();
    server = std::make_unique<StoreServer>(options);
  });
  EXPECT_EQ(worker.ready().size(), 1u);
  later.join();
}

TEST_F(HttpQueueTest, AServerThatAnswersSomethingElseIsRefusedAndMakesNoFolder) {
  post('a');
  const auto posting = worker.ready().front();
  OddServer other;
  StoreClient other_client(other.address(), "", 3);
  HttpQueue misled(other_client, cache.root());
  const auto take = [&] { misled.take(posting, kWorker, 60); };
  other.answer =
      canonical({{"lease", {{"name", "../../elsewhere"}, {"id", "x"}, {"worker", kWorker}, {"token", 1}, {"work", 0}}}});
  EXPECT_THAT(refusal(take), testing::HasSubstr(" gives the lease \"../../elsewhere\" for the posting " + posting.name));
  EXPECT_FALSE(fs::exists(cache.root().parent_path() / "elsewhere"));
  for (const char* wrong : {"{}", "[]", "{\"lease\": 5}"}) {
    other.answer = wrong;
    EXPECT_THAT(refusal(take), testing::HasSubstr("/queue/take answers as no store of this program does: ")) << wrong;
  }
  other.answer = "{\"ready\": [1]}";
  EXPECT_THAT(refusal([&] { misled.ready(); }), testing::HasSubstr("/queue/ready answers as no store of this program does: "));
}

TEST_F(HttpQueueTest, AServerThatStaysAwayIsAnErrorWithItsAddress) {
  const std::string url = server->url();
  server.reset();
  const auto begun = std::chrono::steady_clock::now();
  EXPECT_NO_THROW(worker.sign(Party::kWorker, kWorker, {})) << "whatever is asked next says so";
  try {
    worker.ready();
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("the store at " + url + " does not answer"), std::string::npos) << error.what();
  }
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count();
  EXPECT_GT(seconds, 2);
  EXPECT_LT(seconds, 8);
}

}  // namespace
}  // namespace holdfast
