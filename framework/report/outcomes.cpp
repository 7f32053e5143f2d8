#include "report/outcomes.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "judge/metrics.h"

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

// One seed's outcomes of one metric.
struct SeedColumn {
  const std::vector<std::string>* probes;
  const std::vector<double>* values;

  // The outcome of a probe, which in most files has the same place; NaN where it has none.
  double at(std::size_t likely, const std::string& probe) const {
    if (likely < probes->size() && (*probes)[likely] == probe) return (*values)[likely];
    const auto found = std::lower_bound(probes->begin(), probes->end(), probe);
    const bool there = found != probes->end() && *found == probe;
    return there ? (*values)[static_cast<std::size_t>(found - probes->begin())] : std::numeric_limits<double>::quiet_NaN();
  }
};

}  // namespace

bool are_shares(const std::string& metric, const Grid& grid) {
  return std::all_of(grid.begin(), grid.end(), [&](const auto& row) { return is_share(metric, row); });
}

Outcomes outcomes_of(const std::string& metric, const std::map<std::int64_t, SampleOutcomes>& by_seed) {
  std::vector<SeedColumn> columns;
  Outcomes outcomes;
  for (const auto& [seed, samples] : by_seed) {
    const auto found = samples.columns.find(metric);
    if (found == samples.columns.end()) continue;
    columns.push_back({&samples.probes, &found->second});
    outcomes.seeds.push_back(seed);
  }
  if (columns.empty()) return {};
  outcomes.grid.resize(columns.size());
  std::vector<double> values(columns.size());
  for (std::size_t i = 0; i < columns.front().probes->size(); ++i) {
    const std::string& probe = (*columns.front().probes)[i];
    for (std::size_t seed = 0; seed < columns.size(); ++seed) values[seed] = columns[seed].at(i, probe);
    if (std::any_of(values.begin(), values.end(), [](double value) { return std::isnan(value); })) continue;
    outcomes.probes.push_back(probe);
    for (std::size_t seed = 0; seed < columns.size(); ++seed) outcomes.grid[seed].push_back(values[seed]);
  }
  return outcomes.probes.empty() ? Outcomes() : outcomes;
}

std::optional<Paired> paired(const Outcomes& before, const Outcomes& after) {
  const auto seeds = common(before.seeds, after.seeds);
  auto probes = common(before.probes, after.probes);
  if (seeds.empty() || probes.empty()) return std::nullopt;
  Grid first = part(before, seeds, probes);
  Grid second = part(after, seeds, probes);
  return Paired{std::move(probes), std::move(first), std::move(second)};
}

}  // namespace holdfast
