// [[defense]]: the defenses, the control first: one plugin or a stack.
#include "scenario/plugin_reader.h"
#include "scenario/sections.h"

namespace holdfast {
namespace {

PluginUse defense_plugin(Reading& reading, const toml::table& toml, const std::string& title, bool named) {
  ScenarioTable table(toml, title, reading.mistakes);
  if (named) table.text("name", "");
  auto use = find_plugin(reading, table, PluginKind::kDefense);
  if (!use) return {};
  const unsigned uses_aligned = construct_plugin(reading, table, PluginKind::kDefense, *use).value_or(0);
  use->screen_uses_aligned = (uses_aligned & kStageScreen) != 0;
  use->repair_uses_aligned = (uses_aligned & kStageRepair) != 0;
  use->serve_uses_aligned = (uses_aligned & kStageServe) != 0;
  return *use;
}

void check_stack(const Reading& reading, const DefenseSpec& defense, ScenarioTable& table) {
  const std::string key = table.has("stack") ? "stack" : "plugin";
  const auto users = [&](unsigned stage) {
    std::vector<std::string> names;
    for (const auto& use : defense.stack) {
      if (use.has(stage)) names.push_back("\"" + use.name + "\"");
    }
    return names;
  };
  const auto align = users(kStageAlign);
  const auto tune = users(kStageTune);
  if (align.size() > 1) table.mistake(key, align[0] + " and " + align[1] + " both replace how the model is aligned: keep one");
  if (tune.size() > 1) table.mistake(key, tune[0] + " and " + tune[1] + " both replace the customer's training step: keep one");
  if (!align.empty() && !reading.scenario.aligns) {
    table.mistake(key, align[0] + " replaces how the model is aligned, and the scenario has no [align] section: add one");
  }
}

}  // namespace

void read_defenses(Reading& reading, ScenarioTable& root) {
  reading.scenario.defenses.push_back({"none", {}});
  std::set<std::string> names;
  for (const auto* toml : root.tables("defense")) {
    ScenarioTable table(*toml, "[[defense]]", reading.mistakes);
    DefenseSpec defense;
    if (table.has("stack")) {
      defense.name = table.required_text("name");
      if (table.has("plugin")) table.mistake("plugin", "[[defense]] has both \"plugin\" and \"stack\", expected one of them");
      table.text("plugin", "");
      for (const auto* item : table.tables("stack")) {
        defense.stack.push_back(defense_plugin(reading, *item, "\"stack\"", false));
      }
      const auto* stack = toml->get_as<toml::array>("stack");
      if (stack != nullptr && stack->empty())
        table.mistake("stack", "\"stack\" is empty, expected at least one {plugin = ...}");
      table.finish();
    } else {
      defense.stack.push_back(defense_plugin(reading, *toml, "[[defense]]", true));
      defense.name = table.text("name", defense.stack.front().name);
    }
    if (!defense.name.empty()) check_name(table, names, defense.name, "defense");
    check_stack(reading, defense, table);
    reading.scenario.defenses.push_back(std::move(defense));
  }
}

}  // namespace holdfast
