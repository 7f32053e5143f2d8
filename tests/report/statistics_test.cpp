#include "report/statistics.h"

#include <gtest/gtest.h>
#include <holdfast/random.h>

#include <algorithm>

namespace holdfast {
namespace {

// Outcomes of two cells in which probe p succeeds with a probability of its own, and the second cell adds `effect` on average.
std::vector<PairedOutcomes> simulate(Random& random, std::size_t seeds, std::size_t probes, double effect) {
  std::vector<double> base(probes);
  std::vector<double> gain(probes);
  for (std::size_t p = 0; p < probes; ++p) {
    base[p] = 0.5 * random.uniform();
    gain[p] = 2 * effect * random.uniform();
  }
  std::vector<PairedOutcomes> made(seeds);
  for (auto& seed : made) {
    for (std::size_t p = 0; p < probes; ++p) {
      seed.first.push_back(random.uniform() < base[p]);
      seed.second.push_back(random.uniform() < base[p] + gain[p]);
    }
  }
  return made;
}

TEST(PairedDifference, IsTheDifferenceOfTheMeans) {
  const auto found = paired_difference({{{0, 0, 1, 0}, {1, 1, 1, 0}}, {{0, 0, 0, 0}, {1, 0, 0, 0}}}, 1);
  EXPECT_DOUBLE_EQ(found.value, 3.0 / 8);
  EXPECT_LE(found.low, found.value);
  EXPECT_GE(found.high, found.value);
}

TEST(PairedDifference, RepeatsExactlyAndDependsOnItsSeed) {
  Random random(3);
  const auto data = simulate(random, 3, 40, 0.2);
  const auto once = paired_difference(data, 7, 1000);
  const auto again = paired_difference(data, 7, 1000);
  const auto other = paired_difference(data, 8, 1000);
  EXPECT_EQ(once.low, again.low);
  EXPECT_EQ(once.high, again.high);
  EXPECT_TRUE(once.low != other.low || once.high != other.high);
}

TEST(PairedDifference, HasNoWidthWhenNothingVaries) {
  const auto found = paired_difference({{{0, 0, 0}, {1, 1, 1}}, {{0, 0, 0}, {1, 1, 1}}}, 1);
  EXPECT_EQ(found.low, 1);
  EXPECT_EQ(found.high, 1);
}

// A seed that is high on every probe must widen the interval: pooled probes alone would claim to be sure.
TEST(PairedDifference, SeesThatSeedsDiffer) {
  const std::vector<double> zeros(200, 0.0);
  const std::vector<double> ones(200, 1.0);
  const auto found = paired_difference({{zeros, ones}, {zeros, zeros}, {zeros, ones}}, 1);
  EXPECT_LE(found.low, 1.0 / 3);
  EXPECT_EQ(found.high, 1);
}

TEST(PairedDifference, CoversTheTruthAboutAsOftenAsItSays) {
  Random random(11);
  int covered = 0;
  constexpr int kWorlds = 200;
  for (int world = 0; world < kWorlds; ++world) {
    const auto found = paired_difference(simulate(random, 3, 60, 0.15), static_cast<std::uint64_t>(world), 400);
    covered += found.low <= 0.15 && 0.15 <= found.high;
  }
  EXPECT_GE(covered, kWorlds * 90 / 100);
}

TEST(PairedDifference, DoesNotCoverAnEffectThatIsNotThere) {
  Random random(12);
  int covered = 0;
  for (int world = 0; world < 50; ++world) {
    const auto found = paired_difference(simulate(random, 3, 60, 0.25), static_cast<std::uint64_t>(world), 400);
    covered += found.low <= 0 && 0 <= found.high;
  }
  EXPECT_LE(covered, 10);
}

}  // namespace
}  // namespace holdfast
