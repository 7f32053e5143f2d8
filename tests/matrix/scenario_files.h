// Scenarios as texts, read with the plugins that the build made.
#pragma once

#include <holdfast/error.h>

#include <string>

#include "base/scratch_folder.h"
#include "matrix/plan.h"
#include "matrix/scenario.h"

namespace holdfast {

inline const Registry& shipped_plugins() {
  static const Registry registry = Registry::load({fs::path(HOLDFAST_BINARY_DIR) / "plugins"});
  return registry;
}

inline Scenario scenario_from(const ScratchFolder& folder, const std::string& text, const std::string& name = "s.toml") {
  write_file(folder / name, text);
  return load_scenario(folder / name, shipped_plugins());
}

/// The lines of the error that the text gives, without the folder's name; empty when it is read.
inline std::vector<std::string> mistakes_of(const std::string& text) {
  const ScratchFolder folder;
  std::vector<std::string> lines;
  try {
    scenario_from(folder, text);
  } catch (const Error& error) {
    std::istringstream all(error.what());
    for (std::string line; std::getline(all, line);) {
      const std::string prefix = folder.path().string() + "/";
      lines.push_back(line.starts_with(prefix) ? line.substr(prefix.size()) : line);
    }
  }
  return lines;
}

inline Plan plan_of(const Scenario& scenario) {
  return make_plan(scenario, [](const std::string&) { return "base"; });
}

inline std::map<StageKind, int> counts(const Plan& plan) {
  std::map<StageKind, int> numbers;
  for (const auto& node : plan.nodes) ++numbers[node.kind];
  return numbers;
}

inline const std::string kOrganism = "[[model]]\nname = \"organism\"\nsource = \"organism\"\n[align]\n";

}  // namespace holdfast
