#include "store/disk_budget.h"

#include <gtest/gtest.h>

#include "store/put.h"

namespace holdfast {
namespace {

const std::string kKilobyte(1000, 'x');

class DiskBudgets : public testing::Test {
 protected:
  bool has_file(StageKind kind, const std::string& key) { return fs::exists(store.folder(kind, key) / "data.jsonl"); }
  bool has_file(const std::string& key) { return has_file(StageKind::kCollect, key); }

  ScratchFolder folder;
  Store store{folder.path()};
};

TEST_F(DiskBudgets, DropsTheFilesThatAreCheapToMakeAgain) {
  put(store, "cheap", kKilobyte, 1);
  put(store, "dear", kKilobyte, 100);
  put(store, "held", kKilobyte, 0.1);
  StoreIndex index(store);
  DiskBudget budget(index, 2000);
  EXPECT_EQ(budget.stored(), 3000);
  budget.hold(StageKind::kCollect, "held");
  budget.keep();
  EXPECT_EQ(budget.stored(), 2000);
  EXPECT_FALSE(has_file("cheap"));
  EXPECT_TRUE(has_file("dear"));
  EXPECT_TRUE(has_file("held"));
  EXPECT_TRUE(index.find(StageKind::kCollect, "cheap")->dropped);
  EXPECT_TRUE(store.find(StageKind::kCollect, "cheap")->dropped);
  EXPECT_FALSE(index.find(StageKind::kCollect, "dear")->dropped);
}

TEST_F(DiskBudgets, KeepsWhatOneOfTwoStillHolds) {
  put(store, "shared", kKilobyte);
  StoreIndex index(store);
  DiskBudget budget(index, 1);
  budget.hold(StageKind::kCollect, "shared");
  budget.hold(StageKind::kCollect, "shared");
  budget.let_go(StageKind::kCollect, "shared");
  budget.keep();
  EXPECT_TRUE(has_file("shared"));
  EXPECT_TRUE(budget.exceeded());
  budget.let_go(StageKind::kCollect, "shared");
  budget.keep();
  EXPECT_FALSE(has_file("shared"));
  EXPECT_FALSE(budget.exceeded());
}

// They are there to be mapped, and can be made again from what they were made of.
TEST_F(DiskBudgets, CountsMappedWeightsAndDropsThemFirst) {
  put(store, "data", kKilobyte, 0.1);
  for (const char* name : {"one", "two"}) {
    fs::create_directories(store.mapped(name));
    write_file(store.mapped(name) / "weights.safetensors", kKilobyte);
  }
  StoreIndex index(store);
  DiskBudget budget(index, 1500);
  EXPECT_EQ(budget.stored(), 3000);
  EXPECT_TRUE(budget.exceeded());
  budget.keep();
  EXPECT_TRUE(has_file("data"));
  EXPECT_FALSE(fs::exists(store.mapped("one")));
  EXPECT_FALSE(fs::exists(store.mapped("two")));
  EXPECT_EQ(budget.stored(), 1000);
}

TEST_F(DiskBudgets, NeverDropsRepliesVerdictsAndWhatWasPaidFor) {
  for (const auto& info : stage_kinds()) put(store, "key", "content\n", 1, info.kind);
  StoreIndex index(store);
  DiskBudget(index, 1).keep();
  for (const auto& info : stage_kinds()) {
    const bool result = info.kind == StageKind::kGenerate || info.kind == StageKind::kJudge || info.kind == StageKind::kSubmit;
    EXPECT_EQ(has_file(info.kind, "key"), result) << info.word;
  }
}

TEST_F(DiskBudgets, WithoutABudgetNothingGoes) {
  put(store, "key", kKilobyte);
  StoreIndex index(store);
  DiskBudget budget(index, 0);
  budget.keep();
  EXPECT_TRUE(has_file("key"));
  EXPECT_FALSE(budget.exceeded());
}

TEST_F(DiskBudgets, CountsWhatIsMadeAndWhatLeaves) {
  StoreIndex index(store);
  DiskBudget budget(index, 1500);
  for (const char* key : {"first", "second"}) {
    const Manifest made = put(store, key, kKilobyte, key[0] == 'f' ? 1 : 2);
    index.add(made.kind, key, {made.digest, made.bytes(), 1, false});
    budget.added(made.kind, key);
  }
  EXPECT_EQ(budget.stored(), 2000);
  budget.leaving(StageKind::kCollect, "first");
  index.discard(StageKind::kCollect, "first");
  EXPECT_EQ(budget.stored(), 1000);
  budget.keep();
  EXPECT_TRUE(has_file("second"));
}

// Another run's artifacts are on the same disk.
TEST_F(DiskBudgets, SeesWhatOtherRunsStored) {
  StoreIndex index(store);
  DiskBudget budget(index, 1500);
  put(store, "other run's", kKilobyte, 0.1);
  for (const char* key : {"first", "second"}) {
    const Manifest made = put(store, key, kKilobyte, 10);
    index.add(made.kind, key, {made.digest, made.bytes(), 10, false});
    budget.hold(made.kind, key);
    budget.added(made.kind, key);
  }
  budget.keep();
  EXPECT_FALSE(has_file("other run's"));
  EXPECT_EQ(budget.stored(), 2000);
}

TEST_F(DiskBudgets, DropsTrainingsThatNobodyGoesOnWithFirst) {
  put(store, "cheap", kKilobyte, 0);
  for (const char* key : {"forgotten", "held"}) {
    fs::create_directories(store.training_checkpoint(key).parent_path());
    write_file(store.training_checkpoint(key), kKilobyte);
  }
  StoreIndex index(store);
  DiskBudget(index, 3000).keep();
  EXPECT_TRUE(fs::exists(store.training_checkpoint("forgotten")));
  DiskBudget budget(index, 2000);
  budget.hold(StageKind::kFinetune, "held");
  budget.keep();
  EXPECT_FALSE(fs::exists(store.training_checkpoint("forgotten")));
  EXPECT_TRUE(fs::exists(store.training_checkpoint("held")));
  EXPECT_TRUE(has_file("cheap"));
}

}  // namespace
}  // namespace holdfast
