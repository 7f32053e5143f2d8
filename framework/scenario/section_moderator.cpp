// [[moderator]]: who is asked about the rows that attacks submit.
#include "scenario/plugin_reader.h"
#include "scenario/sections.h"

namespace holdfast {

void read_moderators(Reading& reading, ScenarioTable& root) {
  std::set<std::string> names;
  for (const auto* toml : root.tables("moderator")) {
    ScenarioTable table(*toml, "[[moderator]]", reading.mistakes);
    auto use = find_plugin(reading, table, PluginKind::kDefense);
    const std::string name = table.text("name", use ? use->name : "");
    if (!name.empty()) check_name(table, names, name, "moderator");
    if (!use) continue;
    const bool made = construct_plugin(reading, table, PluginKind::kDefense, given_settings(reading, table), *use);
    if (made && !use->has(kStageScreen)) {
      table.mistake("plugin", in_quotes(use->name) +
                                  " screens no rows, expected a defense with a screen stage (data-filter): it says nothing of "
                                  "what an attacker submits");
    }
    reading.scenario.moderators.push_back({name, std::move(*use)});
  }
}

}  // namespace holdfast
