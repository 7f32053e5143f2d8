// The digest of each cell's configuration, by which the ledger of published figures knows it.
#include "base/digest.h"
#include "base/keyed_files.h"
#include "learn/training_options.h"
#include "scenario/scenario.h"

namespace holdfast {
namespace {

Json without_files(const PluginUse& use) {
  Json json = to_json(use);
  for (const auto& file : use.file_settings) {
    Json& value = json["settings"][file];
    if (!value.is_array()) {
      json["settings"].erase(file);
      continue;
    }
    Json words = Json::array();  // of a command: those that are no files
    for (const auto& word : value) {
      if (word.is_string()) words.push_back(word);
    }
    value = words;
  }
  return json;
}

Json without_files(const AttackSpec& attack) {
  if (attack.plugin) return without_files(*attack.plugin);
  return {{"rows", is_builtin(attack.rows->location) ? attack.rows->location : "of a file"}};
}

// A wrapped control keeps only the attack's template.
Json configuration(const Scenario& scenario, const ModelSpec& model, const AttackSpec& attack, const DefenseSpec& defense,
                   bool control) {
  const bool tunes = !attack.is_control() && !control;
  Json json = {{"dtype", model.dtype},
               {"align", scenario.aligns ? to_json(scenario.align) : Json()},
               {"attack", tunes ? without_files(attack) : Json()},
               {"finetune", tunes ? to_json(attack.finetune) : Json()},
               {"template", attack.wraps ? without_files(*attack.plugin) : Json()},
               {"defense", Json::array()},
               {"generate", to_json(scenario.generate)},
               {"limit", scenario.limit}};
  for (const auto& use : defense.stack) json["defense"].push_back(without_files(use));
  if (model.provider) {
    json.erase("dtype");
    json["align"] = Json();
    json["provider"] = identity(*model.provider);
    json["base_lr"] = model.provider->base_lr;
  }
  if (!attack.asking.empty()) json["asking"] = attack.asking;
  if (scenario.align_seed) json["align_seed"] = *scenario.align_seed;
  return json;
}

}  // namespace

Json configurations(const Scenario& scenario) {
  Json list = Json::array();
  for (const auto& model : scenario.models) {
    for (const auto& attack : scenario.attacks) {
      for (const bool control : {false, true}) {
        if (control && !attack.control) continue;
        for (const auto& defense : scenario.defenses) {
          if (!meet(model, attack, defense)) continue;
          list.push_back({{"model", model.name},
                          {"attack", control ? attack.control->name : attack.name},
                          {"defense", defense.name},
                          {"digest", sha256(canonical(configuration(scenario, model, attack, defense, control)))}});
        }
      }
    }
  }
  return list;
}

}  // namespace holdfast
