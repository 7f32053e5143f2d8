// [[attack]]: the attacks, the control first, and what the models are asked through their templates.
#include "learn/training_options.h"
#include "scenario/declared_options.h"
#include "scenario/plugin_reader.h"
#include "scenario/sections.h"

namespace holdfast {
namespace {

// One whose template dies has a template.
bool wraps(Reading& reading, PluginUse& use) {
  const Conversation plain = {{"user", "a question"}};
  try {
    return reading.plugins.wrap(settings_for_host(reading, use), reading.scenario.folder, {plain}).front() != plain;
  } catch (const PluginFault& fault) {
    use.fault = fault.what();
    return true;
  }
}

void wrap(Reading& reading, AttackSpec& attack) {
  if (!attack.wraps || !attack.plugin->fault.empty()) return;
  try {
    for (const auto& model : reading.scenario.models) {
      const auto prompts = conversations_of(model.probe_rows.asked);
      attack.asked.push_back(
          reading.plugins.wrap(settings_for_host(reading, *attack.plugin), reading.scenario.folder, prompts));
    }
  } catch (const PluginFault& fault) {
    attack.plugin->fault = fault.what();
    attack.asked.clear();
  }
}

}  // namespace

void read_attacks(Reading& reading, ScenarioTable& root) {
  AttackSpec none;
  none.name = "none";
  none.finetune = reading.scenario.finetune;
  reading.scenario.attacks.push_back(none);
  std::set<std::string> names;
  for (const auto* toml : root.tables("attack")) {
    ScenarioTable table(*toml, "[[attack]]", reading.mistakes);
    AttackSpec attack;
    attack.plugin = find_plugin(reading, table, PluginKind::kAttack);
    attack.name = table.text("name", attack.plugin ? attack.plugin->name : "");
    attack.finetune = reading.scenario.finetune;
    if (const auto* overrides = table.table("finetune")) {
      ScenarioTable options(*overrides, "finetune of this attack", reading.mistakes);
      attack.finetune = read_options(options, training_options(), reading.scenario.finetune);
      options.finish();
    }
    if (!attack.name.empty()) check_name(table, names, attack.name, "attack");
    if (!attack.plugin) continue;
    const bool made = construct_plugin(reading, table, PluginKind::kAttack, *attack.plugin).has_value();
    attack.wraps = made && reading.mistakes.empty() && wraps(reading, *attack.plugin);
    reading.scenario.attacks.push_back(std::move(attack));
  }
}

void wrap_probes(Reading& reading) {
  for (auto& attack : reading.scenario.attacks) wrap(reading, attack);
}

}  // namespace holdfast
