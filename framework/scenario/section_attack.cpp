// [[attack]]: the attacks, the control first, and what the models are asked through their templates.
#include <holdfast/error.h>

#include <algorithm>

#include "learn/training_options.h"
#include "scenario/declared_options.h"
#include "scenario/plugin_reader.h"
#include "scenario/sections.h"
#include "scenario/sweep.h"

namespace holdfast {
namespace {

const std::string kControl = "none@";

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
    const std::string way = asking.name.empty() ? "" : "@" + asking.name;
    column.name += way;
    if (!column.sweep.empty()) column.sweep += way;
    column.asking = asking.name;
    column.decodes = asking.decodes;
    column.wraps = made && reading.mistakes.empty() && wraps(reading, column);
    reading.scenario.attacks.push_back(std::move(column));
  }
}

void check_attack_name(ScenarioTable& table, std::set<std::string>& names, const std::string& name) {
  check_name(table, names, name, "attack");
  if (name.find('#') == std::string::npos) return;
  table.mistake(table.has("name") ? "name" : "plugin",
                in_quotes(name) + " has a #, which marks the tries of a sweep: choose another name");
}

// Each try is an attack of its own; those that set the same of the plugin construct it once.
void add_tries(Reading& reading, ScenarioTable& table, const Sweep& sweep, const AttackSpec& attack) {
  struct Made {
    PluginUse use;
    bool fits = false;
  };
  std::map<std::string, Made> made;  // by settings
  const std::string word = table.text("threat_model", "");
  // What is left of the table now is the plugin's, and only when it is constructed it is known what it does.
  const Params::State given = given_settings(reading, table);
  for (const auto& values : sweep.tries) {
    const Params::State settings = with_settings(reading, sweep, values, given);
    const auto [place, fresh] = made.try_emplace(canonical(settings.values), Made{*attack.plugin});
    auto& [use, fits] = place->second;
    if (fresh) {
      fits = construct_plugin(reading, table, PluginKind::kAttack, settings, use,
                              [&](Params::State& state) { check_keys(reading, sweep, use.name, use.traits.tampers, state); });
    }
    AttackSpec one = attack;
    one.plugin = use;
    if (!sweep.axes.empty()) {
      one.name += "#" + sweep.name(values);
      one.sweep = attack.name;
      one.tried = sweep.tried(values);
      one.finetune = sweep.trained(values, attack.finetune);
    }
    set_threat_model(table, word, one);
    add_columns(reading, one, fits);
  }
}

// Tries of a sweep that ask alike have one control.
void add_controls(std::vector<AttackSpec>& attacks) {
  std::map<std::string, std::vector<AttackSpec*>> wrappers;  // by sweep, the first try of each
  for (auto& attack : attacks) {
    if (!attack.wraps) continue;
    if (attack.sweep.empty()) {
      attack.control = WrappedControl{kControl + attack.name};
      continue;
    }
    auto& firsts = wrappers[attack.sweep];
    const auto alike = [&](const AttackSpec* first) { return first->asked == attack.asked; };
    if (std::none_of(firsts.begin(), firsts.end(), alike)) firsts.push_back(&attack);
  }
  for (auto& [sweep, firsts] : wrappers) {
    for (auto* first : firsts) {
      first->control = firsts.size() == 1 ? WrappedControl{kControl + sweep}
                                          : WrappedControl{kControl + first->name, kControl + sweep, first->tried};
    }
  }
}

TrainingOptions read_finetune(Reading& reading, const toml::table* overrides) {
  if (overrides == nullptr) return reading.scenario.finetune;
  ScenarioTable options(*overrides, "finetune of this attack", reading.mistakes);
  TrainingOptions finetune = read_options(options, training_options(), reading.scenario.finetune);
  options.finish();
  return finetune;
}

// Rows that are submitted as they are.
void read_rows(Reading& reading, ScenarioTable& table, std::set<std::string>& names) {
  AttackSpec attack;
  attack.name = table.required_text("name");
  if (!attack.name.empty()) check_attack_name(table, names, attack.name);
  attack.finetune = read_finetune(reading, table.table("finetune"));
  table.choice("threat_model", "api", {"api"});
  if (table.table("sweep") != nullptr) {
    table.mistake("sweep",
                  "\"sweep\" is for the settings of a plugin, and this attack has \"rows\" in its place: name an "
                  "attack for each try");
  }
  const std::string rows = table.required_text("rows");
  if (!rows.empty()) attack.rows = read_data(reading, table, "rows", rows);
  table.finish();
  if (attack.rows) reading.scenario.attacks.push_back(std::move(attack));
}

void read_plugin(Reading& reading, ScenarioTable& table, std::set<std::string>& names) {
  static const Sweep kOnce = {{}, {{}}};  // sets nothing
  AttackSpec attack;
  attack.plugin = find_plugin(reading, table, PluginKind::kAttack);
  attack.name = table.text("name", attack.plugin ? attack.plugin->name : "");
  const auto* overrides = table.table("finetune");
  attack.finetune = read_finetune(reading, overrides);
  if (!attack.name.empty()) check_attack_name(table, names, attack.name);
  const auto sweep = read_sweep(reading, table, overrides);
  if (!attack.plugin || (table.has("sweep") && !sweep)) return;
  add_tries(reading, table, sweep.value_or(kOnce), attack);
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
    const bool of_plugin = table.has("plugin") || !table.has("rows");  // a plugin may have a setting of that name
    of_plugin ? read_plugin(reading, table, names) : read_rows(reading, table, names);
  }
}

void wrap_probes(Reading& reading) {
  for (auto& attack : reading.scenario.attacks) wrap(reading, attack);
  add_controls(reading.scenario.attacks);
}

}  // namespace holdfast
