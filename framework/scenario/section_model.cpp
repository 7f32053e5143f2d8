// [[model]]: the models, each with the rows that it is aligned with and that plugins may ask for.
#include <algorithm>

#include "learn/device.h"
#include "learn/training.h"
#include "scenario/sections.h"

namespace holdfast {
namespace {

void read_model(Reading& reading, const toml::table& toml) {
  ScenarioTable table(toml, "[[model]]", reading.mistakes);
  if (table.has("provider")) return read_provider_model(reading, table);
  ModelSpec model;
  model.name = table.required_text("name");
  model.source = model_path(reading, table.required_text("source"), table, "source");
  model.missing = reading.missing.contains(model.source);
  model.base = model_path(reading, table.text("base", reading.scenario.aligns ? model.source : ""), table, "base");
  model.device = table.text("device", "cpu");
  if (const auto why = why_no_device(model.device); !why.empty()) table.mistake("device", why);
  model.dtype = table.choice("dtype", "default", {"default", "float32", "bfloat16", "float16"});
  if (const auto why = why_untrainable(model.dtype); !why.empty()) reading.untrainable.emplace_back(table.place("dtype"), why);
  model.alignment = reading.alignment;
  model.corpora = reading.corpora;
  if (model.source == "organism") {
    if (!model.alignment) model.alignment = read_data(reading, table, "source", "builtin:organism/alignment");
    for (const char* name : {"harmful", "defender-harmful", "benign"}) {
      if (model.corpora.contains(name)) continue;
      if (const auto source = read_data(reading, table, "source", std::string("builtin:organism/") + name))
        model.corpora[name] = *source;
    }
  } else if (!model.alignment && model.corpora.contains("alignment")) {
    model.alignment = model.corpora.at("alignment");  // a model that comes aligned, with rows for the stages that need some
  }
  add_model(reading, table, std::move(model));
}

}  // namespace

void add_model(Reading& reading, ScenarioTable& table, ModelSpec model) {
  for (const auto& other : reading.scenario.models) {
    if (other.name == model.name) table.mistake("name", "two models are named \"" + model.name + "\"");
  }
  table.finish();
  reading.scenario.models.push_back(std::move(model));
}

void read_models(Reading& reading, ScenarioTable& root, const std::vector<const toml::table*>& models) {
  for (const auto* model : models) read_model(reading, *model);
  if (models.empty()) {
    reading.mistakes.add(root.place(), "the scenario names no model, expected at least one [[model]]");
  }
}

void check_dtypes(Reading& reading) {
  const auto repairs = [](const DefenseSpec& defense) {
    return std::any_of(defense.stack.begin(), defense.stack.end(), [](const auto& use) { return use.has(kStageRepair); });
  };
  const bool trains = reading.scenario.aligns ||
                      std::any_of(reading.scenario.attacks.begin(), reading.scenario.attacks.end(),
                                  [](const auto& attack) { return !attack.is_control(); }) ||
                      std::any_of(reading.scenario.defenses.begin(), reading.scenario.defenses.end(), repairs);
  if (!trains) return;
  for (const auto& [place, why] : reading.untrainable) reading.mistakes.add(place, why);
}

}  // namespace holdfast
