// Per-probe outcomes of a cell's replies, as samples/ holds them.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "report/statistics.h"
#include "results/sample_outcomes.h"

namespace holdfast {

/// One metric of one (model, attack, defense): grid[i][j] is the outcome of seeds[i] on probes[j].
struct Outcomes {
  std::vector<std::int64_t> seeds;
  std::vector<std::string> probes;
  Grid grid;

  bool empty() const { return grid.empty(); }
};

/// Whether all of them are a share's (judge/metrics.h).
bool are_shares(const std::string& metric, const Grid& grid);

/// Of the seeds that have the metric, on the probes where all of them have an outcome; empty when there is none.
Outcomes outcomes_of(const std::string& metric, const std::map<std::int64_t, SampleOutcomes>& by_seed);

/// Two cells' outcomes on the seeds and probes that both have, or nothing.
struct Paired {
  std::vector<std::string> probes;
  Grid before;
  Grid after;
};
std::optional<Paired> paired(const Outcomes& before, const Outcomes& after);

}  // namespace holdfast
