#include "scenario/scenario.h"

#include <holdfast/error.h>

#include <algorithm>

#include "scenario/sections.h"

namespace holdfast {
namespace {

bool all_organisms(const std::vector<const toml::table*>& models) {
  return std::all_of(models.begin(), models.end(),
                     [](const toml::table* model) { return (*model)["source"].value_or(std::string()) == "organism"; });
}

}  // namespace

// A section is read after those that it builds on.
Scenario load_scenario(const fs::path& path, PluginHost& plugins) {
  const toml::table toml = parse_toml(read_file(path), path.string());
  Reading reading(path, plugins);
  ScenarioTable root(toml, "the scenario", reading.mistakes);
  const auto models = root.tables("model");
  reading.organism_only = all_organisms(models);
  read_run_settings(reading, root);
  read_gated(reading, root);
  read_training(reading, root);
  read_corpora(reading, root);
  read_models(reading, root, models);
  read_attacks(reading, root);
  read_defenses(reading, root);
  read_moderators(reading, root);
  read_leaderboard(reading, root);
  read_prices(reading, root);
  read_cluster(reading, root);
  read_service(reading, root);
  read_evaluate(reading, root);
  root.finish();
  read_pretraining(reading, root);
  check_dtypes(reading);
  check_bases(reading, root);
  check_providers(reading, root);
  reading.mistakes.throw_if_any();
  wrap_probes(reading);
  return std::move(reading.scenario);
}

bool DefenseSpec::stands_against(ThreatModel threat) const {
  constexpr unsigned kProviders = kStageScreen | kStageTune | kStageRepair | kStageServe;
  return threat == ThreatModel::kApi ||
         std::none_of(stack.begin(), stack.end(), [](const PluginUse& use) { return use.has(kProviders); });
}

std::vector<std::string> faults(const Scenario& scenario) {
  std::vector<std::string> sentences;
  const auto add = [&](const std::string& what, const std::string& name, const PluginUse& use) {
    const std::string sentence = "the cells that need the " + what + " \"" + name + "\" fail: " + use.fault;
    const bool said = std::count(sentences.begin(), sentences.end(), sentence) > 0;
    if (!use.fault.empty() && !said) sentences.push_back(sentence);
  };
  for (const auto& attack : scenario.attacks) {
    if (attack.plugin) add("attack", attack.sweep.empty() ? attack.name : attack.sweep, *attack.plugin);
  }
  for (const auto& defense : scenario.defenses) {
    for (const auto& use : defense.stack) add("defense", defense.name, use);
  }
  for (const auto& moderator : scenario.moderators) add("moderator", moderator.name, moderator.plugin);
  for (const auto& judge : scenario.judges) add("judge", judge.name, judge);
  return sentences;
}

}  // namespace holdfast
