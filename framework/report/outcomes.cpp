#include "report/outcomes.h"

#include <algorithm>
#include <cmath>

#include "judge/metrics.h"
#include "results/sample.h"

namespace holdfast {
namespace {

template <typename T>
std::vector<T> common(const std::vector<T>& a, const std::vector<T>& b) {
  std::vector<T> both;
  std::set_intersection(a.begin(), a.end(), b.begin(), b.end(), std::back_inserter(both));
  return both;
}

template <typename T>
std::size_t place(const std::vector<T>& sorted, const T& value) {
  return static_cast<std::size_t>(std::lower_bound(sorted.begin(), sorted.end(), value) - sorted.begin());
}

Grid part(const Outcomes& outcomes, const std::vector<std::int64_t>& seeds, const std::vector<std::string>& probes) {
  std::vector<std::size_t> columns;
  for (const auto& probe : probes) columns.push_back(place(outcomes.probes, probe));
  Grid grid;
  for (const auto seed : seeds) {
    const auto& row = outcomes.grid[place(outcomes.seeds, seed)];
    auto& kept = grid.emplace_back();
    for (const auto column : columns) kept.push_back(row[column]);
  }
  return grid;
}

}  // namespace

bool are_shares(const std::string& metric, const Grid& grid) {
  return std::all_of(grid.begin(), grid.end(), [&](const auto& row) { return is_share(metric, row); });
}

Outcomes outcomes_of(const std::map<std::int64_t, SeedOutcomes>& by_seed) {
  Outcomes outcomes;
  if (by_seed.empty()) return outcomes;
  for (const auto& [probe, unused] : by_seed.begin()->second) {
    const bool everywhere =
        std::all_of(by_seed.begin(), by_seed.end(), [&](const auto& seed) { return seed.second.contains(probe); });
    if (everywhere) outcomes.probes.push_back(probe);
  }
  if (outcomes.probes.empty()) return outcomes;
  for (const auto& [seed, values] : by_seed) {
    outcomes.seeds.push_back(seed);
    auto& row = outcomes.grid.emplace_back();
    for (const auto& probe : outcomes.probes) row.push_back(values.at(probe));
  }
  return outcomes;
}

std::optional<Paired> paired(const Outcomes& before, const Outcomes& after) {
  const auto seeds = common(before.seeds, after.seeds);
  auto probes = common(before.probes, after.probes);
  if (seeds.empty() || probes.empty()) return std::nullopt;
  Grid first = part(before, seeds, probes);
  Grid second = part(after, seeds, probes);
  return Paired{std::move(probes), std::move(first), std::move(second)};
}

std::map<std::string, SeedOutcomes> outcomes_by_metric(const fs::path& results_folder, const std::string& generate_key) {
  std::map<std::string, SeedOutcomes> outcomes;
  read_samples(samples_file(results_folder, generate_key), [&](const Sample& sample) {
    for (const auto& [metric, value] : sample.outcomes) {
      if (!std::isnan(value)) outcomes[metric][sample.id] = value;
    }
  });
  return outcomes;
}

}  // namespace holdfast
