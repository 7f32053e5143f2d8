// The scenario as run.json keeps it.
#include "learn/training_options.h"
#include "scenario/scenario.h"

namespace holdfast {

Json to_json(const Scenario& scenario) {
  Json json = {{"name", scenario.name},
               {"seeds", scenario.seeds},
               {"workers", scenario.workers},
               {"threads", scenario.threads},
               {"stage_timeout", scenario.stage_timeout},
               {"gang", scenario.gang},
               {"memory_limit_gib", scenario.memory_limit_gib},
               {"file_limit_gib", scenario.file_limit_gib},
               {"network", scenario.network},
               {"disk_budget_gib", scenario.disk_budget_gib},
               {"aligns", scenario.aligns},
               {"align", to_json(scenario.align)},
               {"finetune", to_json(scenario.finetune)},
               {"generate", to_json(scenario.generate)},
               {"limit", scenario.limit},
               {"utility_bound", scenario.utility_bound}};
  if (scenario.align_seed) json["align_seed"] = *scenario.align_seed;
  if (scenario.customer) json["customer"] = true;
  for (const auto& model : scenario.models) {
    Json item = {{"name", model.name}, {"source", model.source}, {"device", model.device}, {"dtype", model.dtype}};
    if (model.provider) item = {{"name", model.name}, {"provider", to_json(*model.provider)}};
    if (!model.base.empty() && model.base != model.source) item["base"] = model.base;
    if (model.pretraining) item["pretraining"] = to_json(*model.pretraining);
    if (model.alignment) item["alignment"] = to_json(*model.alignment);
    for (const auto& [name, source] : model.corpora) item["corpora"][name] = to_json(source);
    for (const auto& source : model.probes) item["probes"].push_back(to_json(source));
    json["models"].push_back(std::move(item));
  }
  for (const auto& attack : scenario.attacks) {
    Json item = {{"name", attack.name}, {"finetune", to_json(attack.finetune)}, {"threat_model", to_string(attack.threat)}};
    if (attack.plugin) item["plugin"] = to_json(*attack.plugin);
    if (attack.rows) item["rows"] = to_json(*attack.rows);
    if (!attack.sweep.empty()) {
      item["sweep"] = attack.sweep;
      item["tried"] = attack.tried;
    }
    json["attacks"].push_back(std::move(item));
  }
  for (const auto& defense : scenario.defenses) {
    Json stack = Json::array();
    for (const auto& use : defense.stack) stack.push_back(to_json(use));
    json["defenses"].push_back({{"name", defense.name}, {"stack", stack}});
  }
  for (const auto& moderator : scenario.moderators) {
    json["moderators"].push_back({{"name", moderator.name}, {"plugin", to_json(moderator.plugin)}});
  }
  for (const auto& judge : scenario.judges) json["judges"].push_back(to_json(judge));
  return json;
}

}  // namespace holdfast
