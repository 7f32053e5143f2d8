#include "store/store_index.h"

#include <gtest/gtest.h>

#include "store/put.h"

namespace holdfast {
namespace {

TEST(StoreIndex, HasWhatTheStoreHasButForDamagedArtifacts) {
  const ScratchFolder folder;
  Store store(folder.path());
  put(store, "whole", "rows\n", 3);
  put(store, "torn", "rows\n");
  fs::resize_file(store.folder(StageKind::kCollect, "torn") / "data.jsonl", 1);
  const StoreIndex index(store);
  const StoredArtifact* whole = index.find(StageKind::kCollect, "whole");
  ASSERT_NE(whole, nullptr);
  EXPECT_EQ(whole->digest, "digest of rows\n");
  EXPECT_EQ(whole->bytes, 5);
  EXPECT_EQ(whole->seconds, 3);
  EXPECT_FALSE(whole->dropped);
  EXPECT_EQ(index.find(StageKind::kScreen, "whole"), nullptr);
  EXPECT_EQ(index.find(StageKind::kCollect, "torn"), nullptr);
}

TEST(StoreIndex, LooksAgainForWhatAnotherRunStored) {
  const ScratchFolder folder;
  Store store(folder.path());
  StoreIndex index(store);
  Store other(folder.path());
  put(other, "later", "rows\n");
  EXPECT_EQ(index.find(StageKind::kCollect, "later"), nullptr);
  ASSERT_NE(index.look_again(StageKind::kCollect, "later"), nullptr);
  EXPECT_NE(index.find(StageKind::kCollect, "later"), nullptr);
  other.drop(StageKind::kCollect, "later");
  EXPECT_FALSE(index.look_again(StageKind::kCollect, "later")->dropped) << "it is known";
  EXPECT_TRUE(index.read_again(StageKind::kCollect, "later")->dropped);
  other.discard(StageKind::kCollect, "later");
  EXPECT_EQ(index.read_again(StageKind::kCollect, "later"), nullptr);
}

TEST(StoreIndex, KnowsWhatLikeStagesTook) {
  const ScratchFolder folder;
  Store store(folder.path());
  for (const double seconds : {1.0, 3.0}) {
    Manifest manifest;
    manifest.kind = StageKind::kAlign;
    manifest.key = "key " + std::to_string(seconds);
    manifest.document = {{"stage", {{"base", "b"}, {"plugin", {{"name", "p"}}}}}};
    manifest.cost["seconds"] = seconds;
    store.commit(store.begin(), manifest);
  }
  const StoreIndex index(store);
  EXPECT_EQ(index.mean_seconds(StageKind::kAlign, "b", "p"), 2.0);
  EXPECT_EQ(index.mean_seconds(StageKind::kAlign, "b", ""), std::nullopt);
  EXPECT_EQ(index.mean_seconds(StageKind::kFinetune, "b", "p"), std::nullopt);
}

}  // namespace
}  // namespace holdfast
