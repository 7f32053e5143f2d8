// The leaderboard: a pure function of cells.jsonl and samples/.
#pragma once

#include <string>

#include "base/file.h"

namespace holdfast {

/// Writes leaderboard.md, leaderboard.csv and effects.csv into the results folder, from the cells and samples there. Throws
/// Error as read_results.
void write_leaderboard(const fs::path& results_folder);

/// One harm metric's table as text for a terminal of about 100 columns; empty: each model's first (harm_metrics). `colour` adds
/// ANSI colours to the marks. Throws Error for a metric that a model does not have.
std::string leaderboard_table(const fs::path& results_folder, const std::string& metric = "", bool colour = false);

}  // namespace holdfast
