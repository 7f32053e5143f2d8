// Each interval and test against worlds whose truth is known, and against brute force where that is possible.
#include "report/statistics.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <boost/math/distributions/binomial.hpp>
#include <cmath>
#include <functional>

#include "report/known_worlds.h"

namespace holdfast {
namespace {

// Two cells on the same seeds and probes. Seeds and probes have effects of their own, normal with these deviations; a share of
// the seeds' effect is common to both cells. `shift` is what the second cell adds.
struct PairWorld {
  std::size_t seeds, probes;
  double mean, seed_deviation, probe_deviation, shift = 0, common = 0.5;
};

struct Cells {
  Grid before, after;
};

// Outcomes of `make(score, random)`, the score being the sum of the effects.
Cells drawn_pair(const PairWorld& world, Random& random, const std::function<double(double, Random&)>& make) {
  std::vector<double> probes(world.probes);
  for (auto& each : probes) each = world.probe_deviation * normal(random);
  Cells cells;
  for (std::size_t s = 0; s < world.seeds; ++s) {
    const double both = normal(random);
    const auto effect = [&] {
      return world.seed_deviation * (std::sqrt(world.common) * both + std::sqrt(1 - world.common) * normal(random));
    };
    const double first = effect();
    const double second = effect();
    auto& before = cells.before.emplace_back();
    auto& after = cells.after.emplace_back();
    for (const double probe : probes) {
      before.push_back(make(world.mean + first + probe, random));
      after.push_back(make(world.mean + world.shift + second + probe, random));
    }
  }
  return cells;
}

double coin(double score, Random& random) { return random.uniform() < phi(score) ? 1 : 0; }
double noisy(double score, Random& random) { return score + normal(random); }

// The mean of coin() over all seeds and probes.
double true_rate(const PairWorld& world, double shift) {
  const double spread = 1 + world.seed_deviation * world.seed_deviation + world.probe_deviation * world.probe_deviation;
  return phi((world.mean + shift) / std::sqrt(spread));
}

bool holds(const Interval& interval, double truth) { return interval.low <= truth && truth <= interval.high; }

// 0.95 less three standard errors of 1000 worlds.
constexpr int kWorlds = 1000;
constexpr double kNominal = 0.93;

const std::vector<PairWorld>& rate_worlds() {
  static const std::vector<PairWorld> worlds = {
      {1, 60, 0, 0, 1},      {1, 200, -1.5, 0, 0.5}, {3, 60, 0, 0, 1},     {3, 80, 0.3, 0.6, 0.5},
      {3, 80, -1, 0.3, 0.8}, {3, 100, 1, 1, 0},      {5, 50, 0.5, 0.4, 1}, {10, 40, 0, 0.5, 0.5},
  };
  return worlds;
}

TEST(RateInterval, HoldsTheTrueRateAsOftenAsItSays) {
  for (const auto& world : rate_worlds()) {
    const double held = share(kWorlds, 1, [&](Random& random) {
      return holds(rate_interval(drawn_pair(world, random, coin).before), true_rate(world, 0));
    });
    EXPECT_GE(held, kNominal) << world.seeds << " seeds, mean " << world.mean << ", seed deviation " << world.seed_deviation;
  }
}

TEST(RateInterval, IsWilsonsWithOneSeed) {
  std::vector<double> row(10);
  for (int i = 0; i < 5; ++i) row[i] = 1;
  const auto half = rate_interval({row});
  EXPECT_NEAR(half.low, 0.2366, 0.02);  // the variance has n - 1 below it
  EXPECT_NEAR(half.high, 0.7634, 0.02);
  const auto none = rate_interval({std::vector<double>(100, 0.0)});
  EXPECT_EQ(none.low, 0);
  EXPECT_NEAR(none.high, 0.0370, 5e-5);
}

// A seed that is high on every probe must widen the interval: pooled replies alone would claim to be sure.
TEST(RateInterval, SeesThatSeedsDiffer) {
  const std::vector<double> zeros(200, 0.0);
  const std::vector<double> ones(200, 1.0);
  const auto found = rate_interval({zeros, ones, ones});
  EXPECT_LT(found.low, 0.15);
  EXPECT_GT(found.high, 0.95);
}

TEST(MeanInterval, HoldsTheTrueMeanAsOftenAsItSays) {
  const std::vector<PairWorld> worlds = {
      {1, 60, 3, 0, 1}, {3, 60, 3, 0, 1}, {3, 60, 3, 1, 1}, {3, 60, 3, 0.3, 0.5}, {5, 40, 3, 0.5, 1}};
  for (const auto& world : worlds) {
    const double held = share(400, 2, [&](Random& random) {
      return holds(mean_interval(drawn_pair(world, random, noisy).before, 1, 400), world.mean);
    });
    EXPECT_GE(held, 0.915) << world.seeds << " seeds, seed deviation " << world.seed_deviation;
  }
}

TEST(MeanInterval, DependsOnItsSeedAndNotOnThreads) {
  Random random(3);
  const Grid grid = drawn_pair({3, 40, 0, 1, 1}, random, noisy).before;
  const auto one = bootstrap_means(grid, 7, 1000, 1);
  EXPECT_EQ(one, bootstrap_means(grid, 7, 1000, 3));
  EXPECT_EQ(one, bootstrap_means(grid, 7, 1000, 0));
  EXPECT_NE(one, bootstrap_means(grid, 8, 1000, 1));
}

TEST(RateDifference, HoldsTheTrueDifferenceAsOftenAsItSays) {
  for (PairWorld world : rate_worlds()) {
    world.shift = 0.7;
    const double truth = true_rate(world, world.shift) - true_rate(world, 0);
    const double held = share(kWorlds, 4, [&](Random& random) {
      const auto cells = drawn_pair(world, random, coin);
      return holds(rate_difference(cells.before, cells.after), truth);
    });
    EXPECT_GE(held, kNominal) << world.seeds << " seeds, mean " << world.mean << ", seed deviation " << world.seed_deviation;
  }
}

// On the same probes a difference is known better than from two lists of other probes.
TEST(RateDifference, ProfitsFromPairs) {
  Random random(5);
  const auto cells = drawn_pair({1, 400, 0, 0, 3, 0.5}, random, coin);
  const auto paired = rate_difference(cells.before, cells.after);
  const auto a = rate_interval(cells.before);
  const auto b = rate_interval(cells.after);
  const double apart = std::hypot(a.high - a.low, b.high - b.low);
  EXPECT_LT(paired.high - paired.low, 0.8 * apart);
}

TEST(MeanDifference, HoldsTheTrueDifferenceAndFindsIt) {
  const PairWorld world{3, 60, 0, 0.3, 1, 1.5};
  const double held = share(400, 6, [&](Random& random) {
    const auto cells = drawn_pair(world, random, noisy);
    return holds(mean_difference(cells.before, cells.after, 1, 400), world.shift);
  });
  EXPECT_GE(held, 0.915);
  const double missed = share(100, 7, [&](Random& random) {
    const auto cells = drawn_pair(world, random, noisy);
    return holds(mean_difference(cells.before, cells.after, 1, 400), 0);
  });
  EXPECT_LE(missed, 0.2);
}

Grid row_of(int ones, int zeros) {
  std::vector<double> row(static_cast<std::size_t>(ones), 1.0);
  row.resize(static_cast<std::size_t>(ones + zeros));
  return {row};
}

TEST(McNemar, IsTheBinomialTestOfTheChangedProbesWithOneSeed) {
  for (const auto& [up, down] : {std::pair{0, 6}, {1, 9}, {5, 5}, {12, 3}, {30, 60}}) {
    Grid before = {{}};
    Grid after = {{}};
    for (int i = 0; i < up + down + 20; ++i) {
      before[0].push_back(i >= up && i < up + down ? 1 : 0);
      after[0].push_back(i < up ? 1 : 0);
    }
    const boost::math::binomial trials(up + down, 0.5);
    EXPECT_NEAR(mcnemar_p(before, after), std::min(1.0, 2 * cdf(trials, std::min(up, down))), 1e-12) << up << " " << down;
  }
}

TEST(McNemar, CountsAllSignsOfTheProbesWithSeveralSeeds) {
  const Grid before = {{0, 0, 1, 0, 1, 0}, {0, 1, 1, 0, 0, 0}, {0, 0, 1, 1, 0, 0}};
  const Grid after = {{1, 0, 0, 1, 1, 1}, {1, 1, 1, 1, 0, 1}, {1, 1, 1, 1, 1, 0}};
  std::vector<int> changes;
  int observed = 0;
  for (std::size_t p = 0; p < 6; ++p) {
    int change = 0;
    for (std::size_t s = 0; s < 3; ++s) change += static_cast<int>(after[s][p] - before[s][p]);
    changes.push_back(change);
    observed += change;
  }
  int as_far = 0;
  for (int signs = 0; signs < 64; ++signs) {
    int sum = 0;
    for (std::size_t p = 0; p < 6; ++p) sum += (signs >> p & 1) != 0 ? changes[p] : -changes[p];
    as_far += std::abs(sum) >= std::abs(observed);
  }
  EXPECT_DOUBLE_EQ(mcnemar_p(before, after), as_far / 64.0);
}

TEST(McNemar, RejectsEqualCellsAtMostAsOftenAsItSaysAndFindsEffects) {
  const PairWorld equal{3, 60, 0, 0, 1};
  EXPECT_LE(share(kWorlds, 8,
                  [&](Random& random) {
                    const auto cells = drawn_pair(equal, random, coin);
                    return mcnemar_p(cells.before, cells.after) < 0.05;
                  }),
            0.07);
  PairWorld shifted = equal;
  shifted.shift = 1;
  EXPECT_GE(share(100, 9,
                  [&](Random& random) {
                    const auto cells = drawn_pair(shifted, random, coin);
                    return mcnemar_p(cells.before, cells.after) < 0.05;
                  }),
            0.9);
}

TEST(BootstrapP, RejectsEqualCellsAtMostAsOftenAsItSaysAndFindsEffects) {
  PairWorld world{3, 40, 0, 0.3, 1};
  const auto rejects = [&](Random& random) {
    const auto cells = drawn_pair(world, random, noisy);
    return bootstrap_p(cells.before, cells.after, 1, 400) < 0.05;
  };
  EXPECT_LE(share(400, 10, rejects), 0.085);
  world.shift = 2;
  EXPECT_GE(share(100, 11, rejects), 0.9);
}

TEST(BootstrapP, IsTwiceTheShareOfTheSmallerSide) {
  Random random(17);
  const auto cells = drawn_pair({2, 30, 0, 0.2, 1, 0.4}, random, noisy);
  Grid changes = cells.after;
  for (std::size_t s = 0; s < 2; ++s) {
    for (std::size_t p = 0; p < 30; ++p) changes[s][p] -= cells.before[s][p];
  }
  const auto means = bootstrap_means(changes, 5, 999);
  const auto below = std::count_if(means.begin(), means.end(), [](double mean) { return mean <= 0; });
  const auto above = std::count_if(means.begin(), means.end(), [](double mean) { return mean >= 0; });
  EXPECT_DOUBLE_EQ(bootstrap_p(cells.before, cells.after, 5, 999),
                   std::min(1.0, 2.0 * static_cast<double>(std::min(below, above) + 1) / 1000));
}

TEST(Holm, StepsDown) {
  const auto adjusted = holm({0.01, 0.04, 0.03, 0.005});
  EXPECT_DOUBLE_EQ(adjusted[3], 0.02);
  EXPECT_DOUBLE_EQ(adjusted[0], 0.03);
  EXPECT_DOUBLE_EQ(adjusted[2], 0.06);
  EXPECT_DOUBLE_EQ(adjusted[1], 0.06);
  EXPECT_EQ(holm({0.9, 0.8}), (std::vector<double>{1, 1}));
  EXPECT_TRUE(holm({}).empty());
}

TEST(Holm, KeepsAnyFalseAlarmOfTheTableAtTheLevel) {
  const double alarms = share(kWorlds, 12, [](Random& random) {
    std::vector<double> p(12);
    for (auto& each : p) each = random.uniform();
    const auto adjusted = holm(p);
    return *std::min_element(adjusted.begin(), adjusted.end()) < 0.05;
  });
  EXPECT_LE(alarms, 0.07);
}

TEST(MinimumDetectableEffect, IsFoundWithThePowerItSays) {
  Random random(13);
  const PairWorld world{1, 300, 0, 0, 1, 0.3};
  double sum = 0;
  for (int i = 0; i < 50; ++i) {
    const auto cells = drawn_pair(world, random, coin);
    sum += minimum_detectable_effect(cells.before, cells.after) / 50;
  }
  // The shift whose true difference is that effect.
  double low = 0;
  double high = 3;
  for (int i = 0; i < 50; ++i) {
    const double middle = (low + high) / 2;
    (true_rate(world, middle) - true_rate(world, 0) < sum ? low : high) = middle;
  }
  PairWorld found = world;
  found.shift = low;
  const double power = share(kWorlds, 14, [&](Random& each) {
    const auto cells = drawn_pair(found, each, coin);
    return mcnemar_p(cells.before, cells.after) < 0.05;
  });
  EXPECT_GE(power, 0.72);
  EXPECT_LE(power, 0.88);
}

TEST(MinimumDetectableEffect, IsNeverLessThanTheTestCanReject) {
  EXPECT_DOUBLE_EQ(minimum_detectable_effect(row_of(0, 50), row_of(0, 50)), 6.0 / 50);
}

TEST(NoiseFloor, IsPassedByOneInTwentyPairsOfEqualCells) {
  const PairWorld world{3, 60, 0, 0.5, 0.7, 0, 0};
  const double passed = share(kWorlds, 15, [&](Random& random) {
    std::vector<Grid> column;
    for (int cell = 0; cell < 4; ++cell) column.push_back(drawn_pair(world, random, noisy).before);
    const auto mean = [](const Grid& grid) { return mean_interval(grid, 1, 40).value; };
    return std::abs(mean(column[0]) - mean(column[1])) > *noise_floor(column);
  });
  EXPECT_NEAR(passed, 0.05, 0.025);
}

TEST(NoiseFloor, IsUnknownWithOneSeed) {
  EXPECT_FALSE(noise_floor({row_of(3, 7), row_of(5, 5)}).has_value());
  EXPECT_FALSE(noise_floor({}).has_value());
}

// Cohen's own form: 20 both yes, 15 both no, 5 and 10 apart: agreed 0.7, by chance 0.5.
TEST(Agreement, IsCohensKappa) {
  const auto found = agreement({{{{15, 10}, {5, 20}}}}, 1);
  EXPECT_NEAR(found.kappa.value, 0.4, 1e-12);
  EXPECT_EQ(found.counts[1][1], 20);
  EXPECT_EQ(found.counts[0][1], 10);
  EXPECT_EQ(agreement({{{{7, 0}, {0, 0}}}}, 1).kappa.value, 1);
}

TEST(Agreement, HoldsTheTrueKappaAsOftenAsItSays) {
  // Yes with probability 1/2; the second judge says the same with probability 0.9: kappa is 0.8.
  const double held = share(400, 16, [](Random& random) {
    std::vector<std::array<std::array<std::int64_t, 2>, 2>> probes(80);
    for (auto& probe : probes) {
      for (int reply = 0; reply < 3; ++reply) {
        const bool first = random.uniform() < 0.5;
        const bool second = random.uniform() < 0.9 ? first : !first;
        ++probe[first][second];
      }
    }
    return holds(agreement(probes, 1, 400).kappa, 0.8);
  });
  EXPECT_GE(held, 0.915);
}

}  // namespace
}  // namespace holdfast
