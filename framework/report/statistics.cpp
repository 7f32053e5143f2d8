#include "report/statistics.h"

#include <holdfast/error.h>
#include <holdfast/random.h>

#include <algorithm>
#include <cmath>
#include <numeric>

namespace holdfast {
namespace {

using Rows = std::vector<std::vector<double>>;  // a seed's difference of each probe

Rows differences(const std::vector<PairedOutcomes>& seeds) {
  HOLDFAST_CHECK(!seeds.empty() && !seeds.front().first.empty());
  Rows rows;
  for (const auto& seed : seeds) {
    HOLDFAST_CHECK(seed.first.size() == seeds.front().first.size() && seed.second.size() == seed.first.size());
    std::vector<double> row(seed.first.size());
    std::transform(seed.second.begin(), seed.second.end(), seed.first.begin(), row.begin(), std::minus<>());
    rows.push_back(std::move(row));
  }
  return rows;
}

double mean(const Rows& rows) {
  double sum = 0;
  for (const auto& row : rows) sum += std::accumulate(row.begin(), row.end(), 0.0);
  return sum / static_cast<double>(rows.size() * rows.front().size());
}

double replicate(const Rows& rows, Random& random) {
  std::vector<int> times(rows.size());  // how often each seed was drawn
  for (std::size_t i = 0; i < rows.size(); ++i) ++times[random.below(rows.size())];
  const std::size_t probes = rows.front().size();
  double sum = 0;
  for (std::size_t i = 0; i < probes; ++i) {
    const std::size_t probe = random.below(probes);
    for (std::size_t seed = 0; seed < rows.size(); ++seed) sum += times[seed] * rows[seed][probe];
  }
  return sum / static_cast<double>(rows.size() * probes);
}

}  // namespace

Difference paired_difference(const std::vector<PairedOutcomes>& seeds, std::uint64_t bootstrap_seed, int replicates) {
  HOLDFAST_CHECK(replicates >= 40);  // a tail of 2.5 % holds at least one
  const Rows rows = differences(seeds);
  Random random(derive_seed(bootstrap_seed, "bootstrap"));
  std::vector<double> means(static_cast<std::size_t>(replicates));
  for (auto& value : means) value = replicate(rows, random);
  std::sort(means.begin(), means.end());
  const auto tail = static_cast<std::size_t>(std::floor(0.025 * replicates));
  return {mean(rows), means[tail], means[means.size() - 1 - tail]};
}

}  // namespace holdfast
