// A whole scenario: planned, run, written down.
#pragma once

#include "plan/matrix_cost.h"
#include "run/prepare.h"

namespace holdfast {

struct RunOutcome {
  fs::path folder;  // of the results
  std::int64_t cells = 0;
  std::int64_t failed = 0;  // cells that are not "ok"
  std::int64_t stages_run = 0;
  std::int64_t stages_cached = 0;
  MatrixCost cost;  // measured, of the stages that are done
  bool interrupted = false;
};

/// Runs what is not stored yet and writes the results folder, all but the leaderboard. Throws Error for a bad scenario, a
/// missing gated file or a folder that cannot be written before any work.
RunOutcome run_scenario(const RunOptions& options);

/// The libraries whose code a run of that scenario runs, for run.json: {name: {"location", "digest"}}.
Json libraries(const Scenario& scenario);

}  // namespace holdfast
