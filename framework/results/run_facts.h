// What of run.json is read again; the rest of it is for people and for notices.
#pragma once

#include <map>
#include <string>

#include "base/file.h"
#include "base/json.h"

namespace holdfast {

/// In the results folder: the scenario's file, as it was when the run began.
inline constexpr const char* kScenarioFile = "scenario.toml";

/// [leaderboard] of the scenario.
struct BoardRules {
  double utility_bound = 0.10;  // share of the undefended model's utility that a cell which counts may have lost
  Json reference;               // controls of another run that this one's are compared with (controls.json); null: none
};
Json to_json(const BoardRules& rules);

struct RunFacts {
  std::map<std::string, std::string> tasks;    // the metric of each utility task that names one, as exports call for it
  std::map<std::string, std::string> samples;  // by generate key: stamp of what its samples file was made of
  /// What must agree before figures of two runs stand on one board: a digest by name, "judge keyword", "model organism",
  /// "attack harmful-10" (Plan::definitions).
  std::map<std::string, std::string> definitions;
  std::string scenario;  // its name, as run.json's scenario has it; empty where there is none
  BoardRules board;
  Json prices;  // the scenario's [prices]; null without them
};

/// Writes <results folder>/run.json: `about`, an object, with the facts among it.
void write_run_file(const fs::path& results_folder, Json about, const RunFacts& facts);

/// None when there is no such file. Throws Error for one that is damaged.
RunFacts read_run_facts(const fs::path& results_folder);

/// The whole of run.json, for notices and submissions; null when there is no such file. Throws Error for one that is no JSON.
Json read_run_file(const fs::path& results_folder);

}  // namespace holdfast
