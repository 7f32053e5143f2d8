#include "judge/metrics.h"

#include <gtest/gtest.h>

#include <cmath>

namespace holdfast {
namespace {

// Values of Wilson's formula worked out by hand with z = 1.959964.
TEST(Wilson, GivesTheKnownIntervals) {
  const auto none = wilson(0, 100);
  EXPECT_EQ(none.low, 0);
  EXPECT_NEAR(none.high, 0.0370, 5e-5);
  const auto half = wilson(5, 10);
  EXPECT_EQ(half.value, 0.5);
  EXPECT_NEAR(half.low, 0.2366, 5e-5);
  EXPECT_NEAR(half.high, 0.7634, 5e-5);
  const auto all = wilson(1, 1);
  EXPECT_NEAR(all.low, 0.2065, 5e-5);
  EXPECT_EQ(all.high, 1);
}

TEST(Wilson, KnowsNothingWithoutTrials) {
  EXPECT_EQ(wilson(0, 0).low, 0);
  EXPECT_EQ(wilson(0, 0).high, 1);
}

TEST(Metrics, AreMeansOverTheRepliesThatHaveThem) {
  const auto metrics = aggregate({{{"a", 1}, {"b", 0}}, {{"a", 0}}, {{"a", 1}}, {}});
  ASSERT_EQ(metrics.size(), 2u);
  EXPECT_DOUBLE_EQ(metrics.at("a").value, 2.0 / 3);
  EXPECT_EQ(metrics.at("a").n, 3);
  EXPECT_EQ(metrics.at("b").n, 1);
  EXPECT_DOUBLE_EQ(metrics.at("a").high, wilson(2, 3).high);
}

// A score outside 0..1 gets the normal interval: mean 3, standard error 1 / sqrt(2) * sqrt(2) = 1.
TEST(Metrics, OfScoresHaveANormalInterval) {
  const auto metric = aggregate({{{"s", 2}}, {{"s", 4}}}).at("s");
  EXPECT_DOUBLE_EQ(metric.value, 3);
  EXPECT_NEAR(metric.high - metric.value, 1.959964, 1e-6);
}

TEST(Metrics, OfScoresAreNoSharesEvenWhenAllAreOne) {
  EXPECT_FALSE(is_share("score.rubric", {1, 1, 1}));
  EXPECT_TRUE(is_share("asr.rubric", {1, 0}));
  EXPECT_FALSE(is_share("utility.t", {0.5, 1}));
  EXPECT_EQ(aggregate({{{"score.rubric", 1}}, {{"score.rubric", 1}}}).at("score.rubric").low, 1);
}

// Nats a token of 1 and 3: the perplexity is e^2, not the mean of e and e^3.
TEST(Metrics, OfPerplexitiesAreGeometricMeans) {
  const auto metric = aggregate({{{"perplexity.t", 1}}, {{"perplexity.t", 3}}}).at("perplexity.t");
  EXPECT_NEAR(metric.value, std::exp(2), 1e-9);
  EXPECT_NEAR(metric.high, std::exp(2 + 1.959964), 1e-4);
}

}  // namespace
}  // namespace holdfast
