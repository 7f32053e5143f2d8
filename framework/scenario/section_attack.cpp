// [[attack]]: the attacks, the control first, and what the models are asked through their templates.
#include <holdfast/error.h>

#include "learn/training_options.h"
#include "scenario/declared_options.h"
#include "scenario/plugin_reader.h"
#include "scenario/sections.h"

namespace holdfast {
namespace {

// One whose template dies has a template.
bool wraps(Reading& reading, AttackSpec& attack) {
  const Conversation plain = {{"user", "a question"}};
  try {
    const Json settings = settings_for_host(reading, *attack.plugin);
    return reading.plugins.wrap(settings, reading.scenario.folder, attack.asking, {plain}).front() != plain;
  } catch (const PluginFault& fault) {
    attack.plugin->fault = fault.what();
    return true;
  }
}

void wrap(Reading& reading, AttackSpec& attack) {
  if (!attack.wraps || !attack.plugin->fault.empty()) return;
  try {
    for (const auto& model : reading.scenario.models) {
      const auto prompts = conversations_of(model.probe_rows.asked);
      attack.asked.push_back(
          reading.plugins.wrap(settings_for_host(reading, *attack.plugin), reading.scenario.folder, attack.asking, prompts));
    }
  } catch (const PluginFault& fault) {
    attack.plugin->fault = fault.what();
    attack.asked.clear();
  }
}

// word: what the scenario says; empty: nothing.
void set_threat_model(ScenarioTable& table, const std::string& word, AttackSpec& attack) {
  const bool tampers = attack.plugin->traits.tampers;
  try {
    attack.threat = !word.empty() ? threat_model(word) : tampers ? ThreatModel::kWeights : ThreatModel::kApi;
  } catch (const Error& error) {
    table.mistake("threat_model", error.what());
  }
  if (tampers && attack.threat == ThreatModel::kApi) {
    table.mistake("threat_model", in_quotes(attack.plugin->name) +
                                      " edits weights, which nobody does through an API: leave threat_model out, or say "
                                      "\"weights\"");
  }
}

// A column for each way in which it asks.
void add_columns(Reading& reading, const AttackSpec& attack, bool made) {
  static const std::vector<AskingTraits> kUnknown = {{}};  // of a plugin that died or has mistakes
  for (const auto& asking : made ? attack.plugin->traits.askings : kUnknown) {
    AttackSpec column = attack;
    if (!asking.name.empty()) column.name += "@" + asking.name;
    column.asking = asking.name;
    column.decodes = asking.decodes;
    column.wraps = made && reading.mistakes.empty() && wraps(reading, column);
    reading.scenario.attacks.push_back(std::move(column));
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
    // What is left of the table when a plugin is constructed is the plugin's, and only then it is known what it does.
    const std::string word = table.text("threat_model", "");
    const bool made = construct_plugin(reading, table, PluginKind::kAttack, *attack.plugin);
    set_threat_model(table, word, attack);
    add_columns(reading, attack, made);
  }
}

void wrap_probes(Reading& reading) {
  for (auto& attack : reading.scenario.attacks) wrap(reading, attack);
}

}  // namespace holdfast
