// The leaderboard: a pure function of cells.jsonl.
#pragma once

#include <string>

#include "base/file.h"

namespace holdfast {

/// Writes leaderboard.md and leaderboard.csv into the results folder, from the cells.jsonl there. Throws Error as read_results.
void write_leaderboard(const fs::path& results_folder);

/// The same as text for a terminal of about 100 columns; `colour` adds ANSI colours to the marks.
std::string leaderboard_table(const fs::path& results_folder, bool colour = false);

}  // namespace holdfast
