#include "base/params_state.h"

#include <algorithm>

#include "base/suggest.h"

namespace holdfast {

std::string word_name(const std::string& setting, std::size_t word) { return setting + "[" + std::to_string(word) + "]"; }

std::string missing_digest(const fs::path& path) { return "missing " + path.string(); }

void note_mistake(Params::State& state, const std::string& name, const std::string& sentence) {
  const auto place = state.places.find(name);
  state.mistakes.push_back({place == state.places.end() ? "" : place->second, sentence});
}

void note_unread(Params::State& state, const std::string& plugin_name) {
  std::vector<std::string> known;
  for (const auto& info : state.declared) known.push_back(info.name);
  for (const auto& [name, value] : state.values.items()) {
    if (std::count(known.begin(), known.end(), name) > 0) continue;
    note_mistake(state, name, "\"" + plugin_name + "\" has no setting \"" + name + "\"." + suggestion(name, known));
  }
  for (const auto& [name, value] : state.preset.items()) {
    if (std::count(known.begin(), known.end(), name) > 0) continue;
    note_mistake(state, kPresetSetting,
                 "the preset of \"" + plugin_name + "\" sets \"" + name + "\", which it has not: correct the plugin");
  }
}

}  // namespace holdfast
