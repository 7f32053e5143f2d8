#include "store/store.h"

#include <gtest/gtest.h>
#include <holdfast/error.h>
#include <unistd.h>

#include "base/process_name.h"
#include "store/put.h"

namespace holdfast {
namespace {

const std::string kKey(64, 'a');

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

TEST(Store, WhatCannotBeReadIsNotThrownAway) {
  const ScratchFolder folder;
  Store store(folder.path());
  put(store, kKey, "rows\n");
  const fs::path manifest = store.folder(StageKind::kCollect, kKey) / "manifest.json";
  fs::rename(manifest, folder / "kept");
  fs::create_symlink(manifest, manifest);  // to itself
  EXPECT_THROW(store.find(StageKind::kCollect, kKey), Error);
  store.each([](const Manifest&) { FAIL(); });
  fs::rename(folder / "kept", manifest);
  EXPECT_TRUE(store.find(StageKind::kCollect, kKey));
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
  const std::string machine = process_name().substr(0, process_name().find('-'));
  const std::string dead = machine + "-4194305-1.1";                               // above the largest process id
  const std::string reused = machine + "-" + std::to_string(::getpid()) + "-1.1";  // started at another time
  const std::string alive = process_name() + ".9";
  const std::string elsewhere = "000000000000-4194305-1.1";
  { Store store(folder.path()); }
  for (const auto& name : {dead, reused, alive, elsewhere}) fs::create_directories(folder / "tmp" / name);
  Store store(folder.path());
  EXPECT_FALSE(fs::exists(folder / "tmp" / dead));
  EXPECT_FALSE(fs::exists(folder / "tmp" / reused));
  EXPECT_TRUE(fs::exists(folder / "tmp" / alive));
  EXPECT_TRUE(fs::exists(folder / "tmp" / elsewhere));
}

TEST(Store, ADroppedArtifactKeepsItsDigest) {
  const ScratchFolder folder;
  Store store(folder.path());
  put(store, kKey, "rows\n");
  ASSERT_NO_THROW(store.file(StageKind::kCollect, kKey, "data.jsonl"));
  EXPECT_TRUE(store.drop(StageKind::kCollect, kKey));
  EXPECT_FALSE(store.drop(StageKind::kScreen, kKey)) << "there is none";
  EXPECT_FALSE(fs::exists(store.folder(StageKind::kCollect, kKey) / "data.jsonl"));
  const auto dropped = Store(folder.path()).find(StageKind::kCollect, kKey);
  ASSERT_TRUE(dropped);
  EXPECT_TRUE(dropped->dropped);
  EXPECT_EQ(dropped->digest, "digest of rows\n");
  EXPECT_THROW(store.file(StageKind::kCollect, kKey, "data.jsonl"), CorruptArtifact) << "it was read before it was dropped";
}

TEST(Store, AnArtifactIsMadeAgainOverADroppedOne) {
  const ScratchFolder folder;
  Store store(folder.path());
  put(store, kKey, "rows\n");
  store.drop(StageKind::kCollect, kKey);
  EXPECT_FALSE(put(store, kKey, "rows\n").dropped);
  EXPECT_FALSE(store.find(StageKind::kCollect, kKey)->dropped);
  EXPECT_EQ(read_file(store.file(StageKind::kCollect, kKey, "data.jsonl")), "rows\n");
  EXPECT_TRUE(fs::is_empty(folder / "tmp"));
}

TEST(Store, ChecksAllFilesOfAnArtifact) {
  const ScratchFolder folder;
  Store store(folder.path());
  put(store, kKey, "rows\n");
  EXPECT_NO_THROW(store.check(StageKind::kCollect, kKey));
  EXPECT_THROW(store.check(StageKind::kScreen, kKey), CorruptArtifact) << "there is none";
  Store other(folder.path());
  write_file(store.folder(StageKind::kCollect, kKey) / "data.jsonl", "sour\n");
  EXPECT_THROW(other.check(StageKind::kCollect, kKey), CorruptArtifact);
}

}  // namespace
}  // namespace holdfast
