#include "queue/posting.h"

#include <gtest/gtest.h>

namespace holdfast {
namespace {

Posting posting(const std::string& id, double path, const std::string& weights = "", bool finishes = false) {
  Posting made;
  made.id = id;
  made.path = path;
  made.seconds = 1;
  made.finishes = finishes;
  made.weights = weights;
  return made;
}

std::vector<NamedPosting> named(const std::vector<Posting>& postings) {
  std::vector<NamedPosting> all;
  for (const auto& each : postings) all.push_back(*posting_named(posting_name(each, {})));
  return all;
}

std::vector<std::string> order(const std::vector<Posting>& postings, const Offer& offer) {
  const auto all = named(postings);
  std::vector<std::string> ids;
  for (const auto place : in_order(all, offer)) ids.push_back(all[place].posting.id);
  return ids;
}

using Ids = std::vector<std::string>;

TEST(Posting, ItsNameTellsWhatAWorkerMustKnow) {
  Posting given = posting("abc-1", 12.3456, std::string(64, 'd'), true);
  given.gib = 1.5;
  given.device = "cuda:2";
  const auto back = posting_named(posting_name(given, {3, 1}));
  ASSERT_TRUE(back);
  EXPECT_EQ(back->posting.id, "abc-1");
  EXPECT_DOUBLE_EQ(back->posting.path, 12.346);
  EXPECT_DOUBLE_EQ(back->posting.seconds, 1);
  EXPECT_DOUBLE_EQ(back->posting.gib, 1.5);
  EXPECT_TRUE(back->posting.finishes);
  EXPECT_EQ(back->posting.device, "cuda:2");
  EXPECT_EQ(back->posting.weights, std::string(16, 'd'));
  EXPECT_EQ(back->takes.taken, 3);
  EXPECT_EQ(back->takes.lost, 1);
}

TEST(Posting, WhatIsNoNameIsNone) {
  for (const char* name : {"", "tmp", "1.1.1.last.cpu.none.id", "1.1.1.last.cpu.none.id~1", "x.1.1.last.cpu.none.id~0~0",
                           "1.1.1.last.cpu.none.~0~0", "1.1.1.last.cpu.none.id~0~-1", "1.1.last.cpu.none.id~0~0",
                           "1.1.1.last.cpu.none.id~0~99999999999999999999"}) {
    EXPECT_FALSE(posting_named(name)) << name;
  }
}

TEST(PostingOrder, TheLongestWayComesFirst) {
  EXPECT_EQ(order({posting("short", 1), posting("long", 9), posting("middle", 4)}, {}), (Ids{"long", "middle", "short"}));
}

TEST(PostingOrder, AWayOnWarmWeightsCountsForHalfMore) {
  const std::string warm(64, 'a'), cold(64, 'b');
  Offer offer;
  offer.warm = {warm};
  EXPECT_EQ(order({posting("cold", 14, cold), posting("warm", 10, warm)}, offer), (Ids{"warm", "cold"}));
  EXPECT_EQ(order({posting("cold", 16, cold), posting("warm", 10, warm)}, offer), (Ids{"cold", "warm"}));
}

TEST(PostingOrder, RowsThatCanBeFinishedAtOnceComeBeforeAllElse) {
  const std::string warm(64, 'a'), cold(64, 'b');
  Offer offer;
  offer.warm = {warm};
  EXPECT_EQ(order({posting("train", 100, warm), posting("ask cold", 3, cold, true), posting("ask warm", 2, warm, true),
                   posting("judge", 1, "", true)},
                  offer),
            (Ids{"judge", "ask warm", "train", "ask cold"}));
}

TEST(PostingOrder, WhatDoesNotFitIsLeft) {
  Posting gpu = posting("gpu", 5), large = posting("large", 5), late = posting("late", 5), small = posting("small", 5);
  gpu.device = "cuda";
  large.gib = 9;
  late.seconds = 70;  // estimates may be half too low
  small.gib = 8;
  small.seconds = 60;
  Offer offer;
  offer.gib = 8;
  offer.seconds = 100;
  offer.whole = 200;
  EXPECT_EQ(order({gpu, large, late, small}, offer), (Ids{"small"}));
  EXPECT_EQ(order({gpu, large, late, small}, {}), (Ids{"large", "late", "small"}));
  offer.devices = {"cpu", "cuda"};
  EXPECT_EQ(order({gpu, small}, offer), (Ids{"gpu", "small"}));
}

// Else nobody would ever take it.
TEST(PostingOrder, WhatIsLongerThanAWorkersWholeTimeIsBegunByAFreshOne) {
  Posting endless = posting("endless", 9), short_one = posting("short", 5);
  endless.seconds = 1000;
  Offer offer;
  offer.whole = 100;
  offer.seconds = 99;
  EXPECT_EQ(order({endless, short_one}, offer), (Ids{"endless", "short"}));
  offer.seconds = 50;
  EXPECT_EQ(order({endless, short_one}, offer), (Ids{"short"}));
}

}  // namespace
}  // namespace holdfast
