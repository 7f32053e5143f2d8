// /cas and /ac, as anybody's client uses them.
#include <chrono>

#include "remote/served_store.h"

namespace holdfast {
namespace {

class Content : public ServedStore {
 protected:
  Content() { serve(); }
  static std::string cas(const std::string& content) { return "/cas/" + sha256(content); }
  // What others stored is seen in a moment.
  std::string soon(const std::string& content) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(5);
    StoreReply reply = client->get(cas(content));
    while (reply.status == 404 && std::chrono::steady_clock::now() < deadline) reply = client->get(cas(content));
    return reply.body;
  }
  const std::string kAnyKey = std::string(64, '7');
};

TEST_F(Content, IsThereOncePutAndHasItsHash) {
  const std::string rows = "some rows\n";
  EXPECT_EQ(client->get(cas(rows)).status, 404);
  EXPECT_EQ(client->put(cas(rows), rows).status, 200);
  EXPECT_EQ(client->get(cas(rows)).body, rows);
  EXPECT_EQ(client->put(cas(rows), rows).status, 200) << "again is no harm";
  const StoreReply other = client->put(cas(rows), "other rows\n");
  EXPECT_EQ(other.status, 400);
  EXPECT_EQ(other.sentence(), "the body has the SHA-256 " + sha256("other rows\n") + ", expected " + sha256(rows));
  EXPECT_EQ(client->get(cas(rows)).body, rows);
  EXPECT_TRUE(fs::is_empty(store.root() / "tmp")) << "what was refused leaves nothing";
}

TEST_F(Content, MayBeEmptyOrLargerThanAnyBuffer) {
  EXPECT_EQ(client->put(cas(""), "").status, 200);
  EXPECT_EQ(client->get(cas("")).status, 200);
  EXPECT_EQ(client->get(cas("")).body, "");
  std::string large(5'000'000, 'x');
  for (std::size_t i = 0; i < large.size(); i += 997) large[i] = static_cast<char>(i);
  write_file(folder / "large", large);
  EXPECT_EQ(client->put_file(cas(large), folder / "large").status, 200);
  EXPECT_EQ(client->fetch(sha256(large), folder / "fetched").status, 200);
  EXPECT_EQ(read_file(folder / "fetched"), large);
  EXPECT_EQ(client->fetch(sha256("nobody has it"), folder / "none").status, 404);
  EXPECT_FALSE(fs::exists(folder / "none"));
  EXPECT_FALSE(fs::exists(folder / "none.part"));
}

TEST_F(Content, OfArtifactsIsFoundWheneverTheyWereStored) {
  EXPECT_EQ(client->get(cas("rows\n")).status, 404);
  put(store, kAnyKey, "rows\n");  // by another process
  EXPECT_EQ(soon("rows\n"), "rows\n");
  store.drop(StageKind::kCollect, kAnyKey);
  EXPECT_EQ(client->get(cas("rows\n")).status, 404);
  put(store, kAnyKey, "other rows\n");
  EXPECT_EQ(soon("other rows\n"), "other rows\n");
}

TEST_F(Content, ADamagedFileIsToldApart) {
  put(store, kAnyKey, "rows\n");
  ASSERT_EQ(soon("rows\n"), "rows\n");
  write_file(store.folder(StageKind::kCollect, kAnyKey) / "data.jsonl", "sour\n");
  EXPECT_EQ(client->fetch(sha256("rows\n"), folder / "fetched").status, 404);
  EXPECT_FALSE(fs::exists(folder / "fetched"));
}

TEST_F(Content, AManifestIsFoundByItsKeyAlone) {
  put(store, kAnyKey, "rows\n", 2, StageKind::kJudge);
  const StoreReply reply = client->get("/ac/" + kAnyKey);
  EXPECT_EQ(reply.status, 200);
  EXPECT_EQ(reply.stage, "judge");
  EXPECT_EQ(reply.body, read_file(store.folder(StageKind::kJudge, kAnyKey) / "manifest.json"));
}

TEST_F(Content, AClientsOwnEntryLiesBesideAndShadowsNothing) {
  const std::string entry("\x7f\0binary", 8);
  EXPECT_EQ(client->get("/ac/" + kAnyKey).status, 404);
  EXPECT_EQ(client->put("/ac/" + kAnyKey, entry).status, 200);
  EXPECT_EQ(client->get("/ac/" + kAnyKey).body, entry);
  EXPECT_EQ(client->get("/ac/" + kAnyKey).stage, "");
  EXPECT_EQ(client->put("/ac/" + kAnyKey, "newer").status, 200);
  EXPECT_EQ(client->get("/ac/" + kAnyKey).body, "newer");
  put(store, kAnyKey, "rows\n");
  EXPECT_EQ(client->get("/ac/" + kAnyKey).stage, "collect");
  const StoreReply refused = client->put("/ac/" + kAnyKey, "newest");
  EXPECT_EQ(refused.status, 403);
  EXPECT_EQ(client->get("/ac/" + kAnyKey).stage, "collect");
}

TEST_F(Content, AManifestWithoutALeaseIsNoEntry) {
  const Manifest manifest = made(stage('a'), "rows\n");
  const StoreReply refused = client->put("/ac/" + manifest.key, canonical(to_json(manifest)));
  EXPECT_EQ(refused.status, 403);
  EXPECT_NE(refused.sentence().find("lease"), std::string::npos);
  EXPECT_EQ(client->get("/ac/" + manifest.key).status, 404);
}

}  // namespace
}  // namespace holdfast
