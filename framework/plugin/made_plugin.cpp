#include "plugin/made_plugin.h"

#include <holdfast/error.h>

#include "base/keyed_files.h"
#include "base/planned_settings.h"
#include "plugin/library.h"

namespace holdfast {
namespace {

const Plugin& planned_library(const Json& settings) {
  check_files(settings.at("library"));
  return load_library(settings.at("library").at("location").get<std::string>());
}

}  // namespace

std::shared_ptr<Attack> made_attack(const Json& settings, const fs::path& folder) {
  const Plugin& plugin = planned_library(settings);
  return made_as_planned(settings, folder, plugin.make_attack);
}

DefenseStages made_defense(const Json& settings, const fs::path& folder) {
  const Plugin& plugin = planned_library(settings);
  return made_as_planned(settings, folder, plugin.make_defense);
}

std::shared_ptr<Judge> made_judge(const Json& settings, const fs::path& folder) {
  const Plugin& plugin = planned_library(settings);
  return made_as_planned(settings, folder, plugin.make_judge);
}

Asking asking_of(const Attack& attack, const std::string& name) {
  for (auto& asking : attack.askings()) {
    if (asking.name == name) return asking;
  }
  throw Error("the attack asks in other ways than when the matrix was planned: they are a function of its settings");
}

}  // namespace holdfast
