#include "store/store.h"

#include <gtest/gtest.h>

#include "base/scratch_folder.h"

namespace holdfast {
namespace {

const std::string kKey(64, 'a');

Manifest put(Store& store, const std::string& key, const std::string& content, double seconds = 1,
             StageKind kind = StageKind::kCollect) {
  const fs::path made = store.begin();
  write_file(made / "data.jsonl", content);
  Manifest manifest;
  manifest.kind = kind;
  manifest.key = key;
  manifest.digest = "digest of " + content;
  manifest.cost["seconds"] = seconds;
  return store.commit(made, manifest);
}

TEST(Store, KeepsAnArtifactWhole) {
  const ScratchFolder folder;
  {
    Store store(folder.path());
    put(store, kKey, "rows\n");
  }
  Store store(folder.path());
  const auto found = store.find(StageKind::kCollect, kKey);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->digest, "digest of rows\n");
  EXPECT_EQ(read_file(store.file(StageKind::kCollect, kKey, "data.jsonl")), "rows\n");
  EXPECT_FALSE(store.find(StageKind::kScreen, kKey));
  EXPECT_TRUE(fs::is_empty(folder / "tmp"));
}

TEST(Store, ForgetsAnArtifactOfTheWrongSize) {
  const ScratchFolder folder;
  Store store(folder.path());
  put(store, kKey, "rows\n");
  fs::resize_file(store.folder(StageKind::kCollect, kKey) / "data.jsonl", 2);
  EXPECT_FALSE(store.find(StageKind::kCollect, kKey));
  EXPECT_FALSE(fs::exists(store.folder(StageKind::kCollect, kKey)));
  put(store, kKey, "rows\n");
  EXPECT_TRUE(store.find(StageKind::kCollect, kKey));
}

TEST(Store, ForgetsAnArtifactWithoutAManifest) {
  const ScratchFolder folder;
  Store store(folder.path());
  for (const char* manifest : {"", "{\"format\":1}", "{"}) {
    put(store, kKey, "rows\n");
    write_file(store.folder(StageKind::kCollect, kKey) / "manifest.json", manifest);
    EXPECT_FALSE(store.find(StageKind::kCollect, kKey)) << manifest;
  }
}

TEST(Store, SeesChangedBytesWhenTheyAreRead) {
  const ScratchFolder folder;
  Store store(folder.path());
  put(store, kKey, "rows\n");
  write_file(store.folder(StageKind::kCollect, kKey) / "data.jsonl", "sour\n");
  ASSERT_TRUE(store.find(StageKind::kCollect, kKey)) << "sizes alone do not show it";
  EXPECT_THROW(store.file(StageKind::kCollect, kKey, "data.jsonl"), CorruptArtifact);
  store.discard(StageKind::kCollect, kKey);
  put(store, kKey, "rows\n");
  EXPECT_NO_THROW(store.file(StageKind::kCollect, kKey, "data.jsonl"));
}

TEST(Store, TheFirstOfTwoEqualArtifactsStays) {
  const ScratchFolder folder;
  Store store(folder.path());
  Store other(folder.path());
  put(store, kKey, "first\n");
  EXPECT_EQ(put(other, kKey, "second\n").digest, "digest of first\n");
  EXPECT_EQ(read_file(store.file(StageKind::kCollect, kKey, "data.jsonl")), "first\n");
  EXPECT_TRUE(fs::is_empty(folder / "tmp"));
}

TEST(Store, AnArtifactReplacesADamagedOne) {
  const ScratchFolder folder;
  Store store(folder.path());
  put(store, kKey, "first\n");
  fs::remove(store.folder(StageKind::kCollect, kKey) / "data.jsonl");
  EXPECT_EQ(put(store, kKey, "second\n").digest, "digest of second\n");
  EXPECT_EQ(read_file(store.file(StageKind::kCollect, kKey, "data.jsonl")), "second\n");
}

TEST(Store, RemovesWhatDeadProcessesLeft) {
  const ScratchFolder folder;
  const std::string dead = "4194305-1";  // above the largest process id
  { Store store(folder.path()); }
  fs::create_directories(folder / "tmp" / dead);
  const std::string alive = std::to_string(::getpid()) + "-9";
  fs::create_directories(folder / "tmp" / alive);
  Store store(folder.path());
  EXPECT_FALSE(fs::exists(folder / "tmp" / dead));
  EXPECT_TRUE(fs::exists(folder / "tmp" / alive));
}

bool has_file(const Store& store, StageKind kind, const std::string& key) {
  return fs::exists(store.folder(kind, key) / "data.jsonl");
}

TEST(Store, DropsTheFilesThatAreCheapToMakeAgainAndKeepsTheirDigest) {
  const ScratchFolder folder;
  Store store(folder.path());
  put(store, "cheap", std::string(1000, 'x'), 1);
  put(store, "dear", std::string(1000, 'x'), 100);
  put(store, "wanted", std::string(1000, 'x'), 0.1);
  ASSERT_NO_THROW(store.file(StageKind::kCollect, "cheap", "data.jsonl"));
  EXPECT_EQ(store.bytes(), 3000);
  EXPECT_EQ(store.evict(2000, {"wanted"}), 2000);
  EXPECT_EQ(store.bytes(), 2000);
  EXPECT_FALSE(has_file(store, StageKind::kCollect, "cheap"));
  EXPECT_TRUE(has_file(store, StageKind::kCollect, "dear"));
  EXPECT_TRUE(has_file(store, StageKind::kCollect, "wanted"));
  const auto dropped = Store(folder.path()).find(StageKind::kCollect, "cheap");
  ASSERT_TRUE(dropped);
  EXPECT_TRUE(dropped->dropped);
  EXPECT_EQ(dropped->digest, "digest of " + std::string(1000, 'x'));
  EXPECT_THROW(store.file(StageKind::kCollect, "cheap", "data.jsonl"), CorruptArtifact) << "it was read before it was dropped";
  EXPECT_FALSE(store.find(StageKind::kCollect, "dear")->dropped);
}

TEST(Store, AnArtifactIsMadeAgainOverADroppedOne) {
  const ScratchFolder folder;
  Store store(folder.path());
  put(store, kKey, "rows\n");
  store.evict(0, {});
  EXPECT_EQ(store.evict(0, {}), 0) << "there is nothing left to drop";
  EXPECT_FALSE(put(store, kKey, "rows\n").dropped);
  EXPECT_FALSE(store.find(StageKind::kCollect, kKey)->dropped);
  EXPECT_EQ(read_file(store.file(StageKind::kCollect, kKey, "data.jsonl")), "rows\n");
  EXPECT_TRUE(fs::is_empty(folder / "tmp"));
}

TEST(Store, NeverDropsRepliesAndVerdicts) {
  const ScratchFolder folder;
  Store store(folder.path());
  for (const auto& info : stage_kinds()) put(store, kKey, "content\n", 1, info.kind);
  store.evict(0, {});
  for (const auto& info : stage_kinds()) {
    const bool result = info.kind == StageKind::kGenerate || info.kind == StageKind::kJudge;
    EXPECT_EQ(has_file(store, info.kind, kKey), result) << info.word;
  }
}

TEST(Store, EvictsTrainingsThatNobodyGoesOnWith) {
  const ScratchFolder folder;
  Store store(folder.path());
  put(store, "dear", std::string(1000, 'x'), 100);
  for (const char* key : {"forgotten", "wanted"}) {
    fs::create_directories(store.training_checkpoint(key).parent_path());
    write_file(store.training_checkpoint(key), std::string(1000, 'x'));
  }
  store.evict(3000, {"wanted"});
  EXPECT_TRUE(fs::exists(store.training_checkpoint("forgotten")));
  store.evict(2000, {"wanted"});
  EXPECT_FALSE(fs::exists(store.training_checkpoint("forgotten")));
  EXPECT_TRUE(fs::exists(store.training_checkpoint("wanted")));
  EXPECT_TRUE(store.find(StageKind::kCollect, "dear"));
}

}  // namespace
}  // namespace holdfast
