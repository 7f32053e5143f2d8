// Per-probe outcomes of a cell's replies, as samples/ holds them.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/file.h"
#include "report/statistics.h"

namespace holdfast {

/// One seed's outcomes of one metric by probe id.
using SeedOutcomes = std::map<std::string, double>;

/// One metric of one (model, attack, defense): grid[i][j] is the outcome of seeds[i] on probes[j].
struct Outcomes {
  std::vector<std::int64_t> seeds;
  std::vector<std::string> probes;
  Grid grid;

  bool empty() const { return grid.empty(); }
};

/// Whether all of them are a share's (judge/metrics.h).
bool are_shares(const std::string& metric, const Grid& grid);

/// The probes that every seed has; empty when there is none.
Outcomes outcomes_of(const std::map<std::int64_t, SeedOutcomes>& by_seed);

/// Two cells' outcomes on the seeds and probes that both have, or nothing.
struct Paired {
  std::vector<std::string> probes;
  Grid before;
  Grid after;
};
std::optional<Paired> paired(const Outcomes& before, const Outcomes& after);

/// Outcomes by metric and probe of one samples file, without those that are not finite; none when there is no such file.
std::map<std::string, SeedOutcomes> outcomes_by_metric(const fs::path& results_folder, const std::string& generate_key);

}  // namespace holdfast
