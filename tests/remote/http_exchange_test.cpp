#include "remote/http_exchange.h"

#include <holdfast/error.h>

#include <chrono>
#include <thread>

#include "remote/lease_keeper.h"
#include "remote/odd_server.h"
#include "remote/served_store.h"

namespace holdfast {
namespace {

class HttpExchangeTest : public ServedStore {
 protected:
  HttpExchangeTest() { serve(); }
  HttpExchange exchange() { return HttpExchange(*client, cache.root(), 60); }
  std::optional<Manifest> published(const StageRequest& request) { return store.find(request.kind, request.key); }

  /// A stage that reads what those two stages leave.
  StageRequest reader(const Manifest& input, const Manifest& weights) {
    StageRequest made = stage('9');
    made.document["inputs"] = {{"rows", input.digest}, {"weights", weights.digest}};
    made.inputs["rows"] = {input.kind, input.key};
    made.weights["weights"] = {"organism", "cpu", "float32", "base", {{weights.kind, weights.key, weights.digest}}};
    return made;
  }
};

TEST_F(HttpExchangeTest, PublishesUnderItsLease) {
  const Lease lease = taken({stage('a')});
  const Manifest manifest = made(stage('a'), "rows\n");
  const auto counts = exchange().publish(lease, manifest);
  ASSERT_TRUE(counts);
  EXPECT_EQ(counts->lease, Json({{"worker", lease.worker}, {"token", lease.token}}));
  const auto found = published(stage('a'));
  ASSERT_TRUE(found);
  EXPECT_EQ(found->document, manifest.document);
  EXPECT_EQ(found->cost, manifest.cost);
  EXPECT_EQ(read_file(store.file(StageKind::kCollect, manifest.key, "data.jsonl")), "rows\n");
  EXPECT_NO_THROW(store.check(StageKind::kCollect, manifest.key));
  EXPECT_EQ(client->get("/cas/" + sha256("rows\n")).body, "rows\n");
}

TEST_F(HttpExchangeTest, TheSecondTimeChangesNothing) {
  const Lease lease = taken({stage('a')});
  const Manifest manifest = made(stage('a'), "rows\n");
  exchange().publish(lease, manifest);
  const auto again = exchange().publish(lease, manifest);
  ASSERT_TRUE(again);
  EXPECT_EQ(to_json(*again), to_json(*published(stage('a'))));
}

TEST_F(HttpExchangeTest, AServerThatAnswersSomethingElseIsRefused) {
  const Lease lease = taken({stage('a')});
  OddServer other;
  StoreClient misled(other.address(), "", 3);
  HttpExchange exchange(misled, cache.root(), 60);
  for (const char* wrong : {"{}", "[]", R"({"kind": "collect", "key": 5})", R"({"sources": {"a": 1}})"}) {
    other.answer = wrong;
    EXPECT_NE(
        refusal([&] { exchange.publish(lease, made(stage('a'), "rows\n")); }).find("answers as no store of this program does"),
        std::string::npos)
        << wrong;
  }
}

TEST_F(HttpExchangeTest, ALostLeasePublishesNothing) {
  const Lease lease = taken({stage('a')});
  lose(lease);
  EXPECT_FALSE(exchange().publish(lease, made(stage('a'), "rows\n")));
  EXPECT_FALSE(published(stage('a')));
  EXPECT_FALSE(fs::exists(lease.folder));
  EXPECT_EQ(client->get("/cas/" + sha256("rows\n")).status, 404);
}

TEST_F(HttpExchangeTest, ALeaseThatIsLostBetweenFilesAndManifestPublishesNothing) {
  const Lease lease = taken({stage('a')});
  const Manifest manifest = made(stage('a'), "rows\n");
  for (const auto& file : manifest.files) {
    const fs::path path = cache.file(manifest.kind, manifest.key, file.name);
    EXPECT_EQ(client->put_file("/cas/" + file.sha256, path, lease.name).status, 200);
  }
  lose(lease);
  const StoreReply reply = client->put("/ac/" + manifest.key, canonical(to_json(manifest)), lease.name);
  EXPECT_EQ(reply.status, 410) << reply.sentence();
  EXPECT_EQ(client->put("/cas/" + sha256("more"), "more", lease.name).status, 410);
  EXPECT_FALSE(published(stage('a')));
  ASSERT_EQ(queue.ready().size(), 1u);
  const fs::path ready = store.root() / kQueue / "ready" / queue.ready().front().name;
  EXPECT_EQ(std::distance(fs::directory_iterator(ready), fs::directory_iterator()), 1)
      << "what was brought is gone with the lease";
}

TEST_F(HttpExchangeTest, AKeptLeaseIsNotLostHoweverLongItTakes) {
  const Lease lease = taken({stage('a')}, 0.6);
  {
    const LeaseKeeper keeper(*client, lease.name, 0.6);
    for (int i = 0; i < 15; ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
      EXPECT_TRUE(queue.ready().empty()) << i;
    }
  }
  std::this_thread::sleep_for(std::chrono::seconds(1));
  queue.ready();
  std::this_thread::sleep_for(std::chrono::seconds(1));
  EXPECT_EQ(queue.ready().size(), 1u);
}

TEST_F(HttpExchangeTest, AServerThatIsAwayIsNoFaultOfTheStage) {
  StageRequest request =
      reader(put(store, std::string(64, '1'), "rows\n"), put(store, std::string(64, '2'), "w", 1, StageKind::kAlign));
  const Lease lease = taken({stage('a')});
  const Manifest manifest = made(stage('a'), "rows\n");
  server.reset();
  EXPECT_THROW(exchange().bring(request), StoreAway);
  EXPECT_THROW(exchange().publish(lease, manifest), StoreAway);
}

// What they spend is counted in the folder of the run's store, which these workers do not see.
TEST_F(HttpExchangeTest, StagesAtAProviderAreNotForWorkersOverHttp) {
  StageRequest request = stage('9');
  request.task["provider"] = {{"url", "https://api.example.com/v1"}};
  try {
    exchange().bring(request);
    FAIL();
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("behind a provider's interface"), std::string::npos) << error.what();
  }
}

TEST_F(HttpExchangeTest, OfTwoPublishersTheFirstCountsForBoth) {
  const Lease first = taken({stage('a')});
  const Manifest manifest = made(stage('a'), "rows of the first\n");
  ASSERT_TRUE(exchange().publish(first, manifest));
  ASSERT_TRUE(queue.finish({first.name, first.id, first.worker, 1, store.root() / kQueue / "leased" / first.name, {}}, {}));
  cache.discard(manifest.kind, manifest.key);
  const Lease second = taken({stage('a')});
  const auto counts = exchange().publish(second, made(stage('a'), "rows of the second\n"));
  ASSERT_TRUE(counts);
  EXPECT_EQ(counts->digest, "digest of rows of the first\n");
  EXPECT_EQ(read_file(store.file(StageKind::kCollect, manifest.key, "data.jsonl")), "rows of the first\n");
  EXPECT_FALSE(cache.find(manifest.kind, manifest.key)) << "what does not count is fetched when it is needed";
}

TEST_F(HttpExchangeTest, OnlyWhatTheLeaseIsOfIsPublished) {
  const Lease lease = taken({stage('a')});
  const auto refused = [&](Manifest manifest, const std::string& key, int status) {
    const StoreReply reply = client->put("/ac/" + key, canonical(to_json(manifest)), lease.name);
    EXPECT_EQ(reply.status, status) << reply.sentence();
    EXPECT_FALSE(store.find(StageKind::kCollect, key));
  };
  const Manifest own = made(stage('a'), "rows\n");
  refused(made(stage('b'), "rows\n"), std::string(64, 'b'), 403);
  refused(own, std::string(64, 'b'), 403);
  refused(made(stage('c'), "rows\n"), own.key, 400);
  Manifest changed = own;
  changed.document["letter"] = "z";
  refused(changed, own.key, 400);
  changed = own;
  changed.kind = StageKind::kScreen;
  refused(changed, own.key, 400);
  changed = own;
  changed.dropped = true;
  refused(changed, own.key, 400);
  for (const std::string name : {"../../../../evil", "/tmp/evil", "a/b", "manifest.json", ".hidden", "", ".."}) {
    changed = own;
    changed.files.front().name = name;
    refused(changed, own.key, 400);
  }
  changed = own;
  changed.files.front().sha256 = "../../etc/passwd";
  refused(changed, own.key, 400);
  EXPECT_EQ(client->put("/ac/" + own.key, "no manifest", lease.name).status, 400);
  const StoreReply missing = client->put("/ac/" + own.key, canonical(to_json(own)), lease.name);
  EXPECT_EQ(missing.status, 409);
  EXPECT_EQ(Json::parse(missing.body).at("missing").size(), 2u);
  ASSERT_TRUE(exchange().publish(lease, own));
}

TEST_F(HttpExchangeTest, AFileOfAnotherSizeIsRefused) {
  const Lease lease = taken({stage('a')});
  Manifest manifest = made(stage('a'), "rows\n");
  for (const auto& file : manifest.files) {
    client->put_file("/cas/" + file.sha256, cache.file(manifest.kind, manifest.key, file.name), lease.name);
  }
  manifest.files.front().bytes = 4;
  EXPECT_EQ(client->put("/ac/" + manifest.key, canonical(to_json(manifest)), lease.name).status, 400);
  EXPECT_FALSE(published(stage('a')));
}

TEST_F(HttpExchangeTest, BringsWhatTheStageReadsWithItsManifest) {
  const Manifest input = put(store, std::string(64, '1'), "rows\n");
  const Manifest weights = put(store, std::string(64, '2'), "weights", 1, StageKind::kAlign);
  StageRequest request = reader(input, weights);
  exchange().bring(request);
  for (const auto& each : {input, weights}) {
    const auto here = cache.find(each.kind, each.key);
    ASSERT_TRUE(here);
    EXPECT_EQ(to_json(*here), to_json(each));
    EXPECT_NO_THROW(cache.check(each.kind, each.key));
  }
  server.reset();
  EXPECT_NO_THROW(exchange().bring(request)) << "what is here needs no server";
}

TEST_F(HttpExchangeTest, ADamagedCopyIsFetchedAgain) {
  const Manifest input = put(store, std::string(64, '1'), "rows\n");
  const Manifest weights = put(store, std::string(64, '2'), "weights", 1, StageKind::kAlign);
  StageRequest request = reader(input, weights);
  exchange().bring(request);
  write_file(cache.folder(input.kind, input.key) / "data.jsonl", "sour\n");
  exchange().bring(request);
  EXPECT_EQ(read_file(cache.folder(input.kind, input.key) / "data.jsonl"), "rows\n");
}

TEST_F(HttpExchangeTest, WhatTheServerHasAnewIsFetchedAnew) {
  const Manifest weights = put(store, std::string(64, '2'), "weights", 1, StageKind::kAlign);
  StageRequest request = reader(put(store, std::string(64, '1'), "rows\n"), weights);
  exchange().bring(request);
  store.discard(StageKind::kCollect, std::string(64, '1'));
  request.document["inputs"]["rows"] = put(store, std::string(64, '1'), "other rows\n").digest;
  exchange().bring(request);
  EXPECT_EQ(read_file(cache.folder(StageKind::kCollect, std::string(64, '1')) / "data.jsonl"), "other rows\n");
}

TEST_F(HttpExchangeTest, WhatTheServerHasNotIsLeftForTheStageToSay) {
  const Manifest input = put(store, std::string(64, '1'), "rows\n");
  const Manifest weights = put(store, std::string(64, '2'), "weights", 1, StageKind::kAlign);
  StageRequest request = reader(input, weights);
  store.drop(input.kind, input.key);
  store.discard(weights.kind, weights.key);
  EXPECT_NO_THROW(exchange().bring(request));
  EXPECT_FALSE(cache.find(input.kind, input.key));
  EXPECT_FALSE(cache.find(weights.kind, weights.key));
  EXPECT_THROW(cache.file(input.kind, input.key, "data.jsonl"), CorruptArtifact);
}

TEST_F(HttpExchangeTest, WhatIsDamagedThereIsLeftForTheStageToSay) {
  const Manifest input = put(store, std::string(64, '1'), "rows\n");
  StageRequest request = reader(input, put(store, std::string(64, '2'), "weights", 1, StageKind::kAlign));
  write_file(store.folder(input.kind, input.key) / "data.jsonl", "sour\n");
  EXPECT_NO_THROW(exchange().bring(request));
  EXPECT_FALSE(cache.find(input.kind, input.key));
  EXPECT_TRUE(fs::is_empty(cache.root() / "tmp"));
}

}  // namespace
}  // namespace holdfast
