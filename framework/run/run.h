// A whole scenario: planned, run, written down.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/json.h"

namespace holdfast {

struct RunOptions {
  fs::path scenario;
  fs::path results = "results";
  fs::path store;  // empty: <results>/.store
  std::vector<std::string> plugin_path;
  std::int64_t workers = 0;  // 0: as the scenario says
  bool full_samples = false;
  fs::path program;  // started as workers and to ask plugins; empty: this program
};

struct RunOutcome {
  fs::path folder;  // of the results
  std::int64_t cells = 0;
  std::int64_t failed = 0;  // cells that are not "ok"
  std::int64_t stages_run = 0;
  std::int64_t stages_cached = 0;
  bool interrupted = false;
};

/// Runs what is not stored yet and writes the results folder, all but the leaderboard. Throws Error for a bad scenario, a
/// missing gated file or a folder that cannot be written before any work.
RunOutcome run_scenario(const RunOptions& options);

struct PlanSummary {
  std::int64_t cells = 0;
  std::map<std::string, std::int64_t> stages, cached, to_run;  // by kind, all seven
  double seconds = 0;
  Json configurations;               // as configurations() of the scenario gives them
  std::vector<std::string> missing;  // a sentence for each gated file that is not there
  std::vector<std::string> notes;    // what a model's chat template does to what it is asked (scenario/conversation_check.h)
  std::vector<std::string> faults;   // a sentence for each attack and defense whose plugin died; their stages do not run
};

/// Throws Error for a bad scenario; one that only lacks gated files is planned as far as it can be.
PlanSummary plan_scenario(const RunOptions& options);
Json to_json(const PlanSummary& summary);
/// A table for people.
std::string to_string(const PlanSummary& summary);

}  // namespace holdfast
