#include "results/run_scenario.h"

#include <holdfast/error.h>

#include "results/run_facts.h"

namespace holdfast {

RunScenario read_run_scenario(const fs::path& results_folder) {
  const Json run = read_run_file(results_folder);
  const std::string place = results_folder.string();
  if (run.is_null()) {
    throw Error(place +
                " holds no run.json, which says what was run: run the scenario again (what is stored is not made anew)");
  }
  const bool whole = run.is_object() && run.contains("scenario") && run.at("scenario").is_object();
  if (!whole) throw Error(place + "/run.json holds no \"scenario\": run the scenario again to write it anew");
  try {
    const Json versions = run.value("versions", Json::object());
    return {run.at("scenario"), versions.value("holdfast", "unknown"), versions.value("torch", "unknown"),
            run.value("started", "")};
  } catch (const Json::exception&) {
    throw Error(place +
                "/run.json holds \"versions\" or \"started\" that are no words; run the scenario again to write it anew");
  }
}

const Json* named_entry(const RunScenario& run, const std::string& list, const std::string& name) {
  const auto entries = run.scenario.find(list);
  if (entries == run.scenario.end() || !entries->is_array()) return nullptr;
  for (const auto& entry : *entries) {
    if (entry.is_object() && entry.value("name", Json()) == name) return &entry;
  }
  return nullptr;
}

}  // namespace holdfast
