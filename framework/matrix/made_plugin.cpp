#include "matrix/made_plugin.h"

#include <holdfast/error.h>

#include "base/params_state.h"
#include "matrix/keyed_inputs.h"
#include "plugin/library.h"

namespace holdfast {
namespace {

void check_resolved(const Json& settings, const Params::State& state) {
  Json all = settings.at("resolved");
  all.update(state.resolved);
  for (const auto& [name, any] : all.items()) {
    const std::string now = canonical(state.resolved.value(name, Json()));
    const std::string planned = canonical(settings.at("resolved").value(name, Json()));
    if (now == planned) continue;
    if (const auto file = state.files.find(name); file != state.files.end()) throw InputChanged(file->second);
    throw Error("\"" + settings.at("name").get<std::string>() + "\" resolves its setting \"" + name + "\" to " + now +
                " and did to " + planned + " when the matrix was planned: a setting is a function of the scenario alone");
  }
}

template <typename Make>
auto made(const Json& settings, const fs::path& folder, const Make& make) {
  auto state = std::make_shared<Params::State>();
  state->values = settings.at("values");
  state->folder = folder;
  for (const auto& file : settings.value("missing", Json::array())) state->missing.insert(file.get<std::string>());
  Params params(state);
  auto constructed = make(params);
  if (!state->mistakes.empty()) throw Error(state->mistakes.front().sentence);
  check_resolved(settings, *state);
  return constructed;
}

const Plugin& planned_library(const Json& settings) {
  check_inputs(settings.at("library"));
  return load_library(settings.at("library").at("location").get<std::string>());
}

}  // namespace

std::shared_ptr<Attack> made_attack(const Json& settings, const fs::path& folder) {
  const Plugin& plugin = planned_library(settings);
  return made(settings, folder, plugin.make_attack);
}

DefenseStages made_defense(const Json& settings, const fs::path& folder) {
  const Plugin& plugin = planned_library(settings);
  return made(settings, folder, plugin.make_defense);
}

std::unique_ptr<Judge> made_judge(const Json& settings, const fs::path& folder) {
  const auto name = settings.at("name").get<std::string>();
  return made(settings, folder, [&](Params& params) { return make_judge(name, params); });
}

}  // namespace holdfast
