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
  construct_plugin(reading, table, PluginKind::kDefense, given_settings(reading, table), *use);
  return *use;
}

// Members that share a training stage are nested, the last one outermost (<holdfast/defense.h>).
void check_nesting(const DefenseSpec& defense, unsigned stage, ScenarioTable& table, const std::string& key) {
  const PluginUse* drawing = nullptr;
  for (const auto& use : defense.stack) {
    if (!use.has(stage)) continue;
    if (drawing != nullptr) {
      table.mistake(key, in_quotes(drawing->name) + " chooses its own batches, and " + in_quotes(use.name) +
                             ", which stands behind it in the stack, would hand it others: put " + in_quotes(drawing->name) +
                             " last, or leave one of them out");
    }
    if ((use.traits.draw & stage) != 0) drawing = &use;
  }
}

void check_stack(const Reading& reading, const DefenseSpec& defense, ScenarioTable& table) {
  const std::string key = table.has("stack") ? "stack" : "plugin";
  check_nesting(defense, kStagePretrain, table, key);
  check_nesting(defense, kStageAlign, table, key);
  check_nesting(defense, kStageTune, table, key);
  for (const auto& use : defense.stack) {
    if (((use.traits.need_aligned | use.traits.need_base) & kStagePretrain) != 0) {
      table.mistake(key, in_quotes(use.name) + " asks for another model while it pre-trains: there is none yet");
    }
    if (!use.has(kStageAlign)) continue;
    if (!reading.scenario.aligns) {
      table.mistake(
          key, in_quotes(use.name) + " replaces how the model is aligned, and the scenario has no [align] section: add one");
    }
    if ((use.traits.need_aligned & kStageAlign) != 0) {
      table.mistake(key, in_quotes(use.name) + " asks for the aligned model while it aligns: there is none yet");
    }
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

void read_pretraining(Reading& reading, ScenarioTable& root) {
  std::set<std::string> names;
  for (const auto& defense : reading.scenario.defenses) {
    for (const auto& use : defense.stack) {
      if (use.has(kStagePretrain)) names.insert(use.name);
    }
  }
  if (names.empty()) return;
  for (auto& model : reading.scenario.models) {
    if (model.provider) continue;  // has no cells with them
    if (model.source == "organism") {
      model.pretraining = resolve_data("builtin:organism/pretraining", {});
      continue;
    }
    for (const auto& name : names) {
      reading.mistakes.add(root.place(), in_quotes(name) + " changes what a model is pre-trained on, and the model " +
                                             in_quotes(model.name) +
                                             " comes pre-trained: give it source = \"organism\", which is pre-trained here, or "
                                             "leave the defense out");
    }
  }
}

void check_bases(Reading& reading, ScenarioTable& root) {
  const auto check = [&](const PluginUse& use) {
    if (use.traits.need_base == 0) return;
    for (const auto& model : reading.scenario.models) {
      if (!model.base.empty() || model.provider) continue;
      reading.mistakes.add(root.place(),
                           in_quotes(use.name) + " needs the base model, and the model " + in_quotes(model.name) +
                               " comes aligned: name the model that it was aligned from as \"base\" in its [[model]]");
    }
  };
  for (const auto& attack : reading.scenario.attacks) {
    if (attack.plugin) check(*attack.plugin);
  }
  for (const auto& defense : reading.scenario.defenses) {
    for (const auto& use : defense.stack) check(use);
  }
  for (const auto& moderator : reading.scenario.moderators) check(moderator.plugin);
}

}  // namespace holdfast
