#include <gtest/gtest.h>
#include <holdfast/random.h>

#include <algorithm>
#include <numeric>
#include <set>

namespace holdfast {
namespace {

std::vector<std::uint32_t> first_four(Random random) {
  std::vector<std::uint32_t> numbers(4);
  for (auto& number : numbers) number = random.bits();
  return numbers;
}

// Random123's vector for philox4x32-10 with counter 0 and key 0.
TEST(RandomTest, PublishedVector) {
  EXPECT_EQ(first_four(Random(0)), (std::vector<std::uint32_t>{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
}

// Counter words (5, 1, 0, 0), key words (0x89abcdef, 0x01234567): from a separate implementation that gives all three of
// Random123's vectors.
TEST(RandomTest, BothHalvesOfSeedAndCounterCount) {
  const std::uint64_t block = (1ULL << 32) + 5;
  EXPECT_EQ(first_four(Random(0x0123456789abcdefULL, 4 * block)),
            (std::vector<std::uint32_t>{0xb8b243f7, 0xda8fb9a8, 0x46004299, 0xe54c389c}));
}

TEST(RandomTest, TheCounterIsThePlaceInTheStream) {
  Random stream(9);
  std::vector<std::uint32_t> numbers(11);
  for (auto& number : numbers) number = stream.bits();
  for (std::size_t start = 0; start < numbers.size(); ++start) {
    EXPECT_EQ(Random(9, start).bits(), numbers[start]) << start;
  }
}

TEST(RandomTest, UniformStaysInItsRange) {
  Random random(3);
  double sum = 0;
  double lowest = 1;
  double highest = 0;
  for (int i = 0; i < 100'000; ++i) {
    const double value = random.uniform();
    sum += value;
    lowest = std::min(lowest, value);
    highest = std::max(highest, value);
  }
  EXPECT_GE(lowest, 0.0);
  EXPECT_LT(lowest, 0.001);
  EXPECT_LT(highest, 1.0);
  EXPECT_GT(highest, 0.999);
  EXPECT_NEAR(sum / 100'000, 0.5, 0.005);
}

// With a plain remainder the first third of this range would come half of the time.
TEST(RandomTest, BelowHasNoModuloBias) {
  const std::uint64_t range = 3ULL << 62;
  Random random(1);
  int first_third = 0;
  for (int i = 0; i < 100'000; ++i) {
    const std::uint64_t value = random.below(range);
    ASSERT_LT(value, range);
    first_third += value < 1ULL << 62 ? 1 : 0;
  }
  EXPECT_NEAR(first_third / 100'000.0, 1.0 / 3.0, 0.01);
}

TEST(RandomTest, BelowReachesEveryValueEvenly) {
  Random random(2);
  std::vector<int> counts(7);
  for (int i = 0; i < 70'000; ++i) ++counts[random.below(7)];
  for (const int count : counts) EXPECT_NEAR(count, 10'000, 500);
  EXPECT_EQ(random.below(1), 0U);
}

TEST(RandomTest, ShuffleKeepsTheItemsAndDependsOnTheSeed) {
  std::vector<int> items(50);
  std::iota(items.begin(), items.end(), 0);
  auto one = items;
  auto again = items;
  auto other = items;
  Random(1).shuffle(one);
  Random(1).shuffle(again);
  Random(2).shuffle(other);
  EXPECT_EQ(one, again);
  EXPECT_NE(one, other);
  EXPECT_NE(one, items);
  std::sort(one.begin(), one.end());
  EXPECT_EQ(one, items);
}

TEST(RandomTest, StreamsHaveSeedsOfTheirOwn) {
  EXPECT_EQ(derive_seed(7, "data"), 0x759b9b28a1d7df3bULL);  // the first 16 hexadecimal digits of sha256("7/data")
  const std::set<std::uint64_t> seeds = {derive_seed(1, "data"), derive_seed(1, "init"), derive_seed(2, "data")};
  EXPECT_EQ(seeds.size(), 3U);
}

}  // namespace
}  // namespace holdfast
