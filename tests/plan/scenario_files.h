// Scenarios as texts, read with the plugins that the build made.
#pragma once

#include <holdfast/error.h>

#include <algorithm>
#include <map>
#include <string>

#include "base/scratch_folder.h"
#include "plan/plan.h"
#include "plan/stage_key.h"
#include "scenario/scenario.h"

namespace holdfast {

inline const fs::path kProgram = fs::path(HOLDFAST_BINARY_DIR) / "bin" / "holdfast";
inline const fs::path kShipped = fs::path(HOLDFAST_BINARY_DIR) / "plugins";

inline PluginHost& shipped_plugins() {
  static PluginHost plugins(kProgram, {kShipped});
  return plugins;
}

/// A plugin as a scenario with these values uses it.
inline PluginUse used_plugin(PluginHost& plugins, PluginKind kind, const std::string& name, const Json& values,
                             const fs::path& folder = {}) {
  const PluginInfo& plugin = *plugins.find(kind, name);
  Params::State state;
  state.values = values;
  state.folder = folder;
  plugins.make(plugin, state);
  PluginUse use{name, plugin.revision, plugin.stages, values, state.resolved};
  use.files = state.files;
  use.library = plugin.path;
  use.library_digest = plugin.digest;
  return use;
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

/// Null when the plan has no such cell.
inline const Cell* cell_of(const Plan& plan, const std::string& attack, const std::string& defense) {
  const auto found = std::find_if(plan.cells.begin(), plan.cells.end(), [&](const Cell& cell) {
    return plan.attacks[cell.attack] == attack && plan.defenses[cell.defense] == defense;
  });
  return found == plan.cells.end() ? nullptr : &*found;
}

/// The nodes of that cell's stages and moderators, by name.
inline std::map<std::string, std::size_t> stages_of(const Plan& plan, const std::string& attack, const std::string& defense) {
  std::map<std::string, std::size_t> stages;
  const Cell* const cell = cell_of(plan, attack, defense);
  if (cell == nullptr) throw Error("the plan has no cell " + attack + " x " + defense);
  for (const auto* each : {&cell->stages, &cell->moderators}) {
    for (const auto& stage : *each) stages[plan.stage_names[stage.name]] = stage.node;
  }
  return stages;
}

/// The keys of a plan's stages, each input's content being the key of what made it.
inline std::vector<std::string> keys_of(const Plan& plan) {
  std::vector<std::string> keys;
  for (const auto& node : plan.nodes) {
    std::vector<std::string> inputs;
    for (const auto& input : node.inputs) inputs.push_back(keys.at(input.node));
    keys.push_back(stage_key(node, inputs).key);
  }
  return keys;
}

/// Two attacks, a moderator, a defense and a stack, two seeds.
inline constexpr const char* kSmallMatrix = R"([scenario]
name = "q"
seeds = [1, 2]
[[model]]
name = "organism"
source = "organism"
[align]
lr = 0.01
[[attack]]
plugin = "harmful-examples"
[[attack]]
plugin = "identity-shift"
[[moderator]]
plugin = "data-filter"
[[defense]]
plugin = "vaccine"
[[defense]]
name = "both"
stack = [{plugin = "data-filter"}, {plugin = "output-moderation"}]
)";

inline const std::string kOrganism = "[[model]]\nname = \"organism\"\nsource = \"organism\"\n[align]\n";

}  // namespace holdfast
