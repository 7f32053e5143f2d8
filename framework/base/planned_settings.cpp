#include "base/planned_settings.h"

#include <holdfast/error.h>

#include "base/keyed_files.h"

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

}  // namespace

std::shared_ptr<Params::State> planned_state(const Json& settings, const fs::path& folder) {
  auto state = std::make_shared<Params::State>();
  state->values = settings.at("values");
  state->folder = folder;
  for (const auto& file : settings.value("missing", Json::array())) state->missing.insert(file.get<std::string>());
  return state;
}

void check_as_planned(const Json& settings, const Params::State& state) {
  if (!state.mistakes.empty()) throw Error(state.mistakes.front().sentence);
  check_resolved(settings, state);
}

}  // namespace holdfast
