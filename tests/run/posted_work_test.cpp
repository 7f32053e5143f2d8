#include "run/posted_work.h"

#include <gtest/gtest.h>

#include "run/posted_stages.h"

namespace holdfast {
namespace {

WeightsRef weights_on(const std::string& device) {
  WeightsRef weights;
  weights.source = "organism";
  weights.device = device;
  weights.base = std::string(64, 'b');
  return weights;
}

TEST(PostedWork, OfOneStageHasItsKeyAndItsEstimate) {
  StageRequest stage = stage_named('a', StageKind::kFinetune);
  stage.estimate = {5, 12, 1.5};
  stage.weights["weights"] = weights_on("cpu");
  const Posting posting = posting_of({stage}, {});
  EXPECT_EQ(posting.id, stage.key);
  EXPECT_EQ(posting.seconds, 5);
  EXPECT_EQ(posting.path, 12);
  EXPECT_EQ(posting.gib, 1.5);
  EXPECT_EQ(posting.device, "cpu");
  EXPECT_EQ(posting.weights, std::string(64, 'b'));
  EXPECT_FALSE(posting.finishes);
}

TEST(PostedWork, OfAGangTakesTheTimeOfAllAndTheLongestWayBehind) {
  StageRequest one = stage_named('a', StageKind::kGenerate), other = stage_named('b', StageKind::kGenerate);
  one.estimate = {5, 6, 1};
  other.estimate = {5, 9, 2};
  const Posting posting = posting_of({one, other}, {});
  EXPECT_EQ(posting.seconds, 10);
  EXPECT_EQ(posting.path, 14);
  EXPECT_EQ(posting.gib, 2);
  EXPECT_TRUE(posting.finishes);
  EXPECT_NE(posting.id, posting_of({one}, {}).id);
  EXPECT_EQ(posted_keys(posting.work), (std::vector<std::string>{one.key, other.key}));
}

TEST(PostedWork, SaysWhichDevicesItNeeds) {
  const std::map<std::string, std::string> expected = {{"cpu", "cpu"},     {"auto", "cpu"},        {"cuda", "cuda"},
                                                       {"cuda:1", "cuda"}, {"cuda:0-3", "cuda:4"}, {"other:2-3", "other:2"}};
  for (const auto& [device, needed] : expected) {
    StageRequest stage = stage_named('a');
    stage.weights["weights"] = weights_on(device);
    EXPECT_EQ(posting_of({stage}, {}).device, needed) << device;
  }
}

TEST(PostedWork, ComesBackUnderTheLease) {
  StageLimits limits{3, 12.5, 0.5, 1.5, true, {"cpu"}};
  Lease lease;
  lease.worker = "w";
  lease.token = 4;
  lease.folder = "/somewhere";
  lease.work = Json::parse(posting_of({stage_named('a'), stage_named('b')}, limits).work.dump());
  const PostedWork work = posted_work(lease);
  EXPECT_EQ(work.limits, limits);
  ASSERT_EQ(work.stages.size(), 2u);
  EXPECT_EQ(work.stages[1].key, std::string(64, 'b'));
  ASSERT_TRUE(work.stages[1].lease);
  EXPECT_EQ(work.stages[1].lease->folder, "/somewhere");
  EXPECT_EQ(work.stages[1].lease->token, 4);
}

TEST(PostedWork, EachEndComesBack) {
  const std::map<std::string, StageEnd> ends = {{"a", StageDone{"d", 2.5, 7}},
                                                {"b", StageDamaged{StageKind::kAlign, "k", "gone"}},
                                                {"c", StageFailed{"no", true}},
                                                {"d", StageTimedOut{3}},
                                                {"e", WorkerDied{"was killed"}}};
  const auto back = stage_ends_from_json(Json::parse(to_json(ends).dump()));
  ASSERT_EQ(back.size(), ends.size());
  EXPECT_EQ(std::get<StageDone>(back.at("a")).digest, "d");
  EXPECT_EQ(std::get<StageDone>(back.at("a")).seconds, 2.5);
  EXPECT_EQ(std::get<StageDone>(back.at("a")).bytes, 7u);
  EXPECT_EQ(std::get<StageDamaged>(back.at("b")).kind, StageKind::kAlign);
  EXPECT_EQ(std::get<StageDamaged>(back.at("b")).message, "gone");
  EXPECT_TRUE(std::get<StageFailed>(back.at("c")).broken);
  EXPECT_EQ(std::get<StageTimedOut>(back.at("d")).limit, 3);
  EXPECT_EQ(std::get<WorkerDied>(back.at("e")).how, "was killed");
}

}  // namespace
}  // namespace holdfast
