#include "base/planned_settings.h"

#include <holdfast/error.h>

#include <optional>

#include "base/keyed_files.h"

namespace holdfast {
namespace {

// The file behind the part in which a setting's value differs now; nothing where that is no file.
std::optional<KeyedFile> changed_file(const Params::State& state, const std::string& name, const Json& planned) {
  std::string part = name;
  const Json now = state.resolved.value(name, Json());
  if (now.is_array() && planned.is_array()) {
    std::size_t i = 0;
    while (i < now.size() && i < planned.size() && now[i] == planned[i]) ++i;
    part = word_name(name, i);
  }
  const auto file = state.files.find(part);
  return file == state.files.end() ? std::nullopt : std::optional(file->second);
}

void check_resolved(const Json& settings, const Params::State& state) {
  Json all = settings.at("resolved");
  all.update(state.resolved);
  for (const auto& [name, any] : all.items()) {
    const std::string now = canonical(state.resolved.value(name, Json()));
    const std::string planned = canonical(settings.at("resolved").value(name, Json()));
    if (now == planned) continue;
    if (const auto file = changed_file(state, name, settings.at("resolved").value(name, Json())))
      throw InputChanged(file->path);
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
