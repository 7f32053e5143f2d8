#include "report/pooled.h"

#include <algorithm>
#include <cmath>

namespace holdfast {

void add(PooledMetric& pooled, const Metric& seed) {
  const bool first = pooled.seeds == 0;
  pooled.least = first ? seed.value : std::min(pooled.least, seed.value);
  pooled.most = first ? seed.value : std::max(pooled.most, seed.value);
  pooled.low = first ? seed.low : std::min(pooled.low, seed.low);
  pooled.high = first ? seed.high : std::max(pooled.high, seed.high);
  // A share of n is a whole number of successes, which its double only nearly gives back.
  const double sum = seed.value * static_cast<double>(seed.n);
  const double whole = std::round(sum);
  pooled.value += std::abs(sum - whole) < 1e-6 ? whole : sum;
  pooled.n += seed.n;
  ++pooled.seeds;
}

void add(PooledReport& pooled, double seed) {
  ++(std::isnan(seed) ? pooled.unknown : pooled.seeds);
  if (!std::isnan(seed)) pooled.value += seed;
}

// Of perplexities, whose cells are geometric means, the mean is a geometric one.
void finish(PooledMetric& pooled, const std::string& id) {
  const double sum = pooled.value;
  pooled.value = pooled.n == 0 ? 0 : sum / static_cast<double>(pooled.n);
  if (!pooled.outcomes.empty()) {
    const Grid& grid = pooled.outcomes.grid;
    const Interval interval = are_shares(id, grid) ? rate_interval(grid) : mean_interval(grid, kBootstrapSeed);
    const auto scaled = [&](double value) { return is_log_scale(id) ? std::exp(value) : value; };
    pooled.value = scaled(interval.value);
    pooled.low = scaled(interval.low);
    pooled.high = scaled(interval.high);
  } else if (is_share(id, {}) && pooled.least >= 0 && pooled.most <= 1) {
    const auto share = wilson(sum, pooled.n);
    pooled.low = share.low;
    pooled.high = share.high;
  }
}

void finish(PooledReport& pooled) {
  if (pooled.seeds > 0) pooled.value /= static_cast<double>(pooled.seeds);
}

}  // namespace holdfast
