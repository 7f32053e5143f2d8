#include "report/statistics.h"

#include <holdfast/error.h>
#include <holdfast/random.h>

#include <algorithm>
#include <boost/math/distributions/normal.hpp>
#include <boost/math/distributions/students_t.hpp>
#include <cmath>
#include <numeric>

#include "base/parallel.h"

namespace holdfast {
namespace {

constexpr double kPower = 0.8;
constexpr double kSmallestRejection = 6;  // 2 / 2^6 < 0.05 < 2 / 2^5

double normal_quantile(double share) { return boost::math::quantile(boost::math::normal(), share); }

double student_quantile(double share, double freedom) {
  return freedom > 1e6 ? normal_quantile(share) : boost::math::quantile(boost::math::students_t(freedom), share);
}

double square(double x) { return x * x; }

double mean_of(const std::vector<double>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

void check_grid(const Grid& grid) {
  HOLDFAST_CHECK(!grid.empty() && !grid.front().empty());
  for (const auto& row : grid) HOLDFAST_CHECK(row.size() == grid.front().size());
}

void check_pair(const Grid& before, const Grid& after) {
  check_grid(before);
  check_grid(after);
  HOLDFAST_CHECK(before.size() == after.size() && before.front().size() == after.front().size());
}

std::vector<double> seed_means(const Grid& grid) {
  std::vector<double> means;
  for (const auto& row : grid) means.push_back(mean_of(row));
  return means;
}

std::vector<double> probe_means(const Grid& grid) {
  std::vector<double> means(grid.front().size());
  for (const auto& row : grid) {
    for (std::size_t probe = 0; probe < row.size(); ++probe) means[probe] += row[probe] / static_cast<double>(grid.size());
  }
  return means;
}

double mean_of(const Grid& grid) { return mean_of(seed_means(grid)); }

Grid differences(const Grid& before, const Grid& after) {
  check_pair(before, after);
  Grid grid = after;
  for (std::size_t seed = 0; seed < grid.size(); ++seed) {
    for (std::size_t probe = 0; probe < grid[seed].size(); ++probe) grid[seed][probe] -= before[seed][probe];
  }
  return grid;
}

// Mean products of two grids' deviations; of a grid with itself, the mean squares of a two-way analysis of variance.
struct MeanProducts {
  double seeds, probes, rest;
};

MeanProducts mean_products(const Grid& a, const Grid& b) {
  const auto seed_a = seed_means(a);
  const auto seed_b = seed_means(b);
  const auto probe_a = probe_means(a);
  const auto probe_b = probe_means(b);
  const double mean_a = mean_of(seed_a);
  const double mean_b = mean_of(seed_b);
  const auto count_s = static_cast<double>(a.size());
  const auto count_p = static_cast<double>(a.front().size());
  MeanProducts sums{};
  for (std::size_t s = 0; s < a.size(); ++s) {
    sums.seeds += count_p * (seed_a[s] - mean_a) * (seed_b[s] - mean_b);
    for (std::size_t p = 0; p < a[s].size(); ++p) {
      sums.rest += (a[s][p] - seed_a[s] - probe_a[p] + mean_a) * (b[s][p] - seed_b[s] - probe_b[p] + mean_b);
    }
  }
  for (std::size_t p = 0; p < probe_a.size(); ++p) sums.probes += count_s * (probe_a[p] - mean_a) * (probe_b[p] - mean_b);
  const double free_s = std::max(1.0, count_s - 1);
  const double free_p = std::max(1.0, count_p - 1);
  return {sums.seeds / free_s, sums.probes / free_p, sums.rest / (free_s * free_p)};
}

// Covariance of two means, of which a common effect of the seeds is left out when it is positive: a few seeds cannot tell how
// much of their effect is common, and believing them makes intervals of differences too narrow.
double covariance_of_means(const Grid& a, const Grid& b) {
  const auto cells = static_cast<double>(a.size() * a.front().size());
  const MeanProducts products = mean_products(a, b);
  const double by_seed = a.size() == 1 ? 0 : std::min(products.seeds, products.rest) - products.rest;
  return (by_seed + products.probes) / cells;
}

std::vector<int> drawn(std::size_t count, Random& random) {
  std::vector<int> times(count);
  for (std::size_t i = 0; i < count; ++i) ++times[random.below(count)];
  return times;
}

double seed_widening(std::size_t seeds) {
  if (seeds < 2) return 0;
  const auto count = static_cast<double>(seeds);
  return std::sqrt(count / (count - 1)) * student_quantile(1 - kTail, count - 1) / normal_quantile(1 - kTail);
}

// The mean of one replicate, its seeds' part widened.
double replicate(const Grid& grid, const std::vector<double>& means, double mean, double widening, Random random) {
  const auto seeds = drawn(grid.size(), random);
  const auto probes = drawn(grid.front().size(), random);
  double by_seed = 0;  // the mean over the drawn seeds and all probes
  double both = 0;
  for (std::size_t s = 0; s < grid.size(); ++s) {
    if (seeds[s] == 0) continue;
    double sum = 0;
    for (std::size_t p = 0; p < probes.size(); ++p) sum += probes[p] * grid[s][p];
    by_seed += seeds[s] * means[s];
    both += seeds[s] * sum / static_cast<double>(probes.size());
  }
  by_seed /= static_cast<double>(grid.size());
  both /= static_cast<double>(grid.size());
  return mean + widening * (by_seed - mean) + (both - by_seed);
}

Interval percentiles(double value, const std::vector<double>& sorted) {
  const auto tail = static_cast<std::size_t>(std::floor(kTail * static_cast<double>(sorted.size())));
  return {value, sorted[tail], sorted[sorted.size() - 1 - tail]};
}

bool is_binary(const Grid& grid) {
  return std::all_of(grid.begin(), grid.end(), [](const auto& row) {
    return std::all_of(row.begin(), row.end(), [](double outcome) { return outcome == 0 || outcome == 1; });
  });
}

double kappa_of(const std::array<std::array<double, 2>, 2>& counts) {
  const double total = counts[0][0] + counts[0][1] + counts[1][0] + counts[1][1];
  const double agreed = (counts[0][0] + counts[1][1]) / total;
  const double first_yes = (counts[1][0] + counts[1][1]) / total;
  const double second_yes = (counts[0][1] + counts[1][1]) / total;
  const double chance = first_yes * second_yes + (1 - first_yes) * (1 - second_yes);
  return chance >= 1 ? 1 : (agreed - chance) / (1 - chance);
}

}  // namespace

Variance variance_of_mean(const Grid& grid) {
  check_grid(grid);
  const auto seeds = static_cast<double>(grid.size());
  const auto probes = static_cast<double>(grid.front().size());
  const MeanProducts squares = mean_products(grid, grid);
  if (grid.size() == 1) return {squares.probes / probes, std::max(1.0, probes - 1)};
  const double by_seed = std::max(squares.seeds, squares.rest);
  const double by_probe = std::max(squares.probes, squares.rest);
  const double sum = by_seed + by_probe - squares.rest;
  if (sum <= 0) return {0, probes - 1};
  const double spread = square(by_seed) / (seeds - 1) + square(by_probe) / std::max(1.0, probes - 1) +
                        square(squares.rest) / std::max(1.0, (seeds - 1) * (probes - 1));
  return {sum / (seeds * probes), square(sum) / spread};
}

Interval rate_interval(const Grid& grid, double below, double above) {
  const double rate = mean_of(grid);
  const Variance variance = variance_of_mean(grid);
  const auto probes = static_cast<double>(grid.front().size());
  const bool shown = variance.value > 0;
  const double trials =
      shown ? std::min(rate * (1 - rate) / variance.value, probes * static_cast<double>(grid.size())) : probes;
  const auto end = [&](double tail, int side) {
    const double z = shown && grid.size() > 1 ? student_quantile(1 - tail, variance.freedom) : normal_quantile(1 - tail);
    const double scale = 1 + z * z / trials;
    const double center = (rate + z * z / (2 * trials)) / scale;
    return center + side * z / scale * std::sqrt(rate * (1 - rate) / trials + square(z / (2 * trials)));
  };
  return {rate, rate == 0 ? 0 : std::max(0.0, end(below, -1)), rate == 1 ? 1 : std::min(1.0, end(above, +1))};
}

std::vector<double> bootstrap_means(const Grid& grid, std::uint64_t seed, int replicates, int threads) {
  check_grid(grid);
  HOLDFAST_CHECK(replicates >= 40);  // a tail of 2.5 % holds at least one
  const auto means = seed_means(grid);
  const double mean = mean_of(means);
  const double widening = seed_widening(grid.size());
  std::vector<double> values(static_cast<std::size_t>(replicates));
  const std::uint64_t stream = derive_seed(seed, "bootstrap");
  for_each_number(
      values.size(),
      [&](std::size_t n) {
        values[n] = replicate(grid, means, mean, widening, Random(derive_seed(stream, std::to_string(n))));
      },
      threads);
  std::sort(values.begin(), values.end());
  return values;
}

Interval mean_interval(const Grid& grid, std::uint64_t seed, int replicates) {
  return percentiles(mean_of(grid), bootstrap_means(grid, seed, replicates));
}

Interval rate_difference(const Grid& before, const Grid& after) {
  check_pair(before, after);
  const Interval a = rate_interval(after);
  const Interval b = rate_interval(before);
  const double scale = std::sqrt(variance_of_mean(before).value * variance_of_mean(after).value);
  const double correlation = scale > 0 ? std::clamp(covariance_of_means(before, after) / scale, -1.0, 1.0) : 0;
  const auto reach = [&](double of_after, double of_before) {
    return std::sqrt(std::max(0.0, square(of_after) + square(of_before) - 2 * correlation * of_after * of_before));
  };
  const double value = a.value - b.value;
  return {value, value - reach(a.value - a.low, b.high - b.value), value + reach(a.high - a.value, b.value - b.low)};
}

Interval mean_difference(const Grid& before, const Grid& after, std::uint64_t seed, int replicates) {
  return mean_interval(differences(before, after), seed, replicates);
}

double mcnemar_p(const Grid& before, const Grid& after) {
  const Grid changes = differences(before, after);
  std::vector<double> chance = {1};  // chance[i]: of the sum i - reach
  std::int64_t reach = 0;
  std::int64_t observed = 0;
  for (std::size_t probe = 0; probe < changes.front().size(); ++probe) {
    std::int64_t change = 0;
    for (const auto& row : changes) change += std::llround(row[probe]);
    observed += change;
    const auto size = static_cast<std::size_t>(std::abs(change));
    if (size == 0) continue;
    std::vector<double> next(chance.size() + 2 * size);
    for (std::size_t i = 0; i < chance.size(); ++i) {
      next[i] += chance[i] / 2;
      next[i + 2 * size] += chance[i] / 2;
    }
    chance = std::move(next);
    reach += static_cast<std::int64_t>(size);
  }
  double p = 0;
  for (std::size_t i = 0; i < chance.size(); ++i) {
    if (std::abs(static_cast<std::int64_t>(i) - reach) >= std::abs(observed)) p += chance[i];
  }
  return std::min(1.0, p);
}

double bootstrap_p(const Grid& before, const Grid& after, std::uint64_t seed, int replicates) {
  const auto values = bootstrap_means(differences(before, after), seed, replicates);
  const auto share = [&](auto condition) {
    return (static_cast<double>(std::count_if(values.begin(), values.end(), condition)) + 1) /
           (static_cast<double>(values.size()) + 1);
  };
  const double p = 2 * std::min(share([](double value) { return value <= 0; }), share([](double value) { return value >= 0; }));
  return std::min(1.0, p);
}

std::vector<double> holm(const std::vector<double>& p) {
  std::vector<std::size_t> order(p.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return p[a] < p[b]; });
  std::vector<double> adjusted(p.size());
  double largest = 0;
  for (std::size_t i = 0; i < order.size(); ++i) {
    largest = std::max(largest, static_cast<double>(p.size() - i) * p[order[i]]);
    adjusted[order[i]] = std::min(1.0, largest);
  }
  return adjusted;
}

double minimum_detectable_effect(const Grid& before, const Grid& after) {
  const double error = std::sqrt(variance_of_mean(differences(before, after)).value);
  const double effect = (normal_quantile(1 - kTail) + normal_quantile(kPower)) * error;
  if (!is_binary(before) || !is_binary(after)) return effect;
  return std::max(effect, kSmallestRejection / static_cast<double>(before.front().size()));
}

std::optional<SeedSpread> seed_spread(const std::vector<Grid>& grids) {
  double squares = 0;
  double freedom = 0;
  for (const auto& grid : grids) {
    check_grid(grid);
    const auto means = seed_means(grid);
    const double mean = mean_of(means);
    for (const double each : means) squares += square(each - mean);
    freedom += static_cast<double>(means.size()) - 1;
  }
  if (freedom < 1) return std::nullopt;
  return SeedSpread{std::sqrt(squares / freedom), freedom};
}

double noise_floor(const SeedSpread& spread, double seeds, double other_seeds, std::size_t comparisons) {
  const double tail = kTail / static_cast<double>(comparisons);
  return student_quantile(1 - tail, spread.freedom) * spread.deviation * std::sqrt(1 / seeds + 1 / other_seeds);
}

std::optional<double> noise_floor(const std::vector<Grid>& grids) {
  const auto spread = seed_spread(grids);
  if (!spread) return std::nullopt;
  std::size_t seeds = 0;
  for (const auto& grid : grids) seeds = std::max(seeds, grid.size());
  return noise_floor(*spread, static_cast<double>(seeds), static_cast<double>(seeds));
}

Agreement agreement(const std::vector<std::array<std::array<std::int64_t, 2>, 2>>& by_probe, std::uint64_t seed,
                    int replicates) {
  HOLDFAST_CHECK(!by_probe.empty());
  const auto kappa_with = [&](const std::vector<int>& times) {
    std::array<std::array<double, 2>, 2> counts{};
    for (std::size_t probe = 0; probe < by_probe.size(); ++probe) {
      for (std::size_t i = 0; i < 4; ++i) {
        counts[i / 2][i % 2] += times[probe] * static_cast<double>(by_probe[probe][i / 2][i % 2]);
      }
    }
    return kappa_of(counts);
  };
  std::vector<double> values(static_cast<std::size_t>(replicates));
  const std::uint64_t stream = derive_seed(seed, "agreement");
  for_each_number(values.size(), [&](std::size_t n) {
    Random random(derive_seed(stream, std::to_string(n)));
    values[n] = kappa_with(drawn(by_probe.size(), random));
  });
  std::sort(values.begin(), values.end());
  Agreement result;
  for (const auto& probe : by_probe) {
    for (std::size_t i = 0; i < 4; ++i) result.counts[i / 2][i % 2] += probe[i / 2][i % 2];
  }
  result.kappa = percentiles(kappa_with(std::vector<int>(by_probe.size(), 1)), values);
  return result;
}

}  // namespace holdfast
