// The scenario that a run was of, as run.json keeps it, read again by what tells others about a cell.
#pragma once

#include <string>

#include "base/file.h"
#include "base/json.h"

namespace holdfast {

struct RunScenario {
  Json scenario;         // as scenario/scenario_json.cpp writes it
  std::string holdfast;  // version of the program; "unknown" where the file does not say
  std::string torch;     // the same of torch
  std::string started;   // "2026-11-26T08:28:01Z"; empty where the file does not say
};

/// Throws Error when there is no run.json, or one without a scenario.
RunScenario read_run_scenario(const fs::path& results_folder);

/// The entry of one of the scenario's lists ("models", "attacks", "defenses", "judges") with that name; null when there is
/// none.
const Json* named_entry(const RunScenario& run, const std::string& list, const std::string& name);

}  // namespace holdfast
