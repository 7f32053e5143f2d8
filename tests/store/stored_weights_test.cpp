#include "store/stored_weights.h"

#include <gmock/gmock.h>
#include <holdfast/error.h>

#include "base/scratch_folder.h"
#include "store/weight_stages.h"

namespace holdfast {
namespace {

using testing::AllOf;
using testing::HasSubstr;

template <typename Call>
std::string failure(const Call& call) {
  try {
    call();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

class StoredWeights : public testing::Test {
 protected:
  std::vector<std::string> keys(const Manifest& stage) const {
    std::vector<std::string> keys;
    for (const auto& link : stored_weights(store_, stage).chain) keys.push_back(link.key);
    return keys;
  }

  ScratchFolder scratch_;
  Store store_{scratch_ / "store"};
  Manifest align_ = store_stage(store_, StageKind::kAlign, "base", "", "aligned");
  Manifest tuned_ = store_stage(store_, StageKind::kFinetune, "base", align_.digest, "tuned");
};

TEST_F(StoredWeights, AreTheChainFromTheCheckpoint) {
  const Manifest repaired = store_stage(store_, StageKind::kRepair, "base", tuned_.digest, "repaired");
  store_stage(store_, StageKind::kFinetune, "base", align_.digest, "another");
  const WeightsRef weights = stored_weights(store_, repaired);
  EXPECT_EQ(weights.base, "base");
  EXPECT_EQ(weights.device, "cpu");
  EXPECT_EQ(weights.dtype, "default");
  EXPECT_EQ(weights.digest(), repaired.digest);
  EXPECT_EQ(keys(repaired), (std::vector<std::string>{align_.key, tuned_.key, repaired.key}));
  EXPECT_EQ(keys(align_), std::vector<std::string>{align_.key});
}

TEST_F(StoredWeights, LeaveOutStagesThatChangedNothing) {
  const Manifest idle = store_stage(store_, StageKind::kRepair, "base", tuned_.digest, "nothing", true);
  EXPECT_EQ(idle.digest, tuned_.digest);
  EXPECT_EQ(keys(idle), (std::vector<std::string>{align_.key, tuned_.key}));
  const Manifest idle_align = store_stage(store_, StageKind::kAlign, "base", "", "nothing", true);
  EXPECT_TRUE(keys(idle_align).empty());
}

TEST_F(StoredWeights, OfAnotherCheckpointDoNotCount) {
  const Manifest foreign = store_stage(store_, StageKind::kFinetune, "other base", align_.digest, "foreign");
  EXPECT_THAT(failure([&] { stored_weights(store_, foreign); }),
              AllOf(HasSubstr("finetune/" + foreign.key.substr(0, 12) + " stands on weights with the digest"),
                    HasSubstr("run its scenario again with this store")));
}

TEST_F(StoredWeights, GivenUpForTheBudgetAreSaidWithTheFolderToRemove) {
  store_.drop(StageKind::kAlign, align_.key);
  EXPECT_THAT(failure([&] { stored_weights(store_, tuned_); }),
              AllOf(HasSubstr("align/" + align_.key.substr(0, 12) + " were given up for the disk budget"),
                    HasSubstr("remove " + store_.folder(StageKind::kAlign, align_.key).string())));
  // The same content made by another stage will do.
  Manifest twin = align_;
  twin.document["stage"]["other"] = 1;
  twin.key = sha256(canonical(twin.document));
  const fs::path made = store_.begin();
  write_file(made / "change.safetensors", "aligned");
  store_.commit(made, twin);
  EXPECT_EQ(keys(tuned_), (std::vector<std::string>{twin.key, tuned_.key}));
}

TEST_F(StoredWeights, AreFoundByKeyKindAndKeyOrTheirFirstDigits) {
  const std::string key = tuned_.key;
  for (const auto& name : {key, key.substr(0, 8), "finetune/" + key, "finetune/" + key.substr(0, 10)}) {
    EXPECT_TRUE(names_stage(name)) << name;
    EXPECT_EQ(stored_stage(store_, name).key, key);
  }
  for (const auto* name : {"abc", "results/quickstart/none/none", "align/none", "tune/01234567", "0123456z"}) {
    EXPECT_FALSE(names_stage(name)) << name;
  }
  EXPECT_THAT(failure([&] { stored_stage(store_, "align/0123"); }),
              HasSubstr("has 4 digits of a stage's key, expected at least 8"));
  EXPECT_THAT(failure([&] { stored_stage(store_, "align/" + key); }), HasSubstr("has no stage \"align/" + key + "\""));
}

TEST_F(StoredWeights, OfAShortNameThatFitsTwoAreRefused) {
  for (const StageKind kind : {StageKind::kAlign, StageKind::kRepair}) {
    fs::create_directories(store_.folder(kind, "0123456789abcdef"));
    write_file(store_.folder(kind, "0123456789abcdef") / "manifest.json", Json({{"format", 1},
                                                                                {"kind", to_string(kind)},
                                                                                {"key", "0123456789abcdef"},
                                                                                {"inputs", Json::object()},
                                                                                {"digest", "d"},
                                                                                {"files", Json::array()},
                                                                                {"cost", Json::object()},
                                                                                {"reports", Json::object()},
                                                                                {"versions", Json::object()}})
                                                                              .dump());
  }
  EXPECT_THAT(failure([&] { stored_stage(store_, "01234567"); }),
              AllOf(HasSubstr("fits align/0123456789ab and repair/0123456789ab"), HasSubstr("give more digits, or the kind")));
  EXPECT_EQ(stored_stage(store_, "repair/01234567").kind, StageKind::kRepair);
}

TEST_F(StoredWeights, OfADamagedManifestAreSaidToBeSo) {
  write_file(store_.folder(StageKind::kAlign, align_.key) / "manifest.json", "{");
  EXPECT_THAT(failure([&] { stored_stage(store_, align_.key); }),
              AllOf(HasSubstr("a stored file is damaged"),
                    HasSubstr("remove " + store_.folder(StageKind::kAlign, align_.key).string())));
}

TEST_F(StoredWeights, AreWhatOnlySomeStagesLeave) {
  const Manifest replies = store_stage(store_, StageKind::kGenerate, "base", tuned_.digest, "replies");
  EXPECT_THAT(failure([&] { stored_weights(store_, replies); }),
              AllOf(HasSubstr("generate/" + replies.key.substr(0, 12) + " leaves no weights"), HasSubstr("repair stage")));
}

}  // namespace
}  // namespace holdfast
