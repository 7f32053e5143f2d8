// What each defense changes, against the undefended cell on the same seeds and probes.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "report/model_cells.h"

namespace holdfast {

struct DefenseEffect {
  std::string metric, attack, defense;
  Interval change;              // defended minus undefended
  double p = 1;                 // McNemar's exact test for rates, bootstrap for scores
  double adjusted = 1;          // by Holm's method over the table
  double detectable = 0;        // smallest true change found with 80 % power
  std::optional<double> noise;  // what other seeds alone would change; empty with one seed
};

/// "lower" or "higher" when the adjusted p is below 0.05, the interval leaves out 0 and the change is larger than the noise;
/// "noise" when it is not larger; else "unclear". With one seed the noise is unknown and does not count.
std::string effect_word(const DefenseEffect& effect);

/// What a metric is changed by from `before` to `after`, on the seeds and probes that both have; nothing where they share none.
/// Whose it is and the noise are left to the caller, and `adjusted` is p.
std::optional<DefenseEffect> change_between(const PooledMetric& before, const PooledMetric& after, const std::string& metric);

/// The outcomes of these defenses' cells in one attack's column, of those that have some: what seed noise is read off.
std::vector<Grid> column_grids(const ModelCells& board, const std::string& attack, const std::string& metric,
                               const std::vector<std::string>& defenses);

/// One effect for each defense x attack of the board whose cells share probes, for one metric. `attacks`: which columns; Holm's
/// method is over all effects together.
std::vector<DefenseEffect> defense_effects(const ModelCells& board, const std::string& metric,
                                           const std::vector<std::string>& attacks);

}  // namespace holdfast
