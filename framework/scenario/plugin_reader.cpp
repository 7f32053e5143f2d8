#include "scenario/plugin_reader.h"

#include <holdfast/error.h>

#include "base/suggest.h"

namespace holdfast {

// A library whose code died before it said anything is known by its file's name. What its defense would do is unknown, so every
// reply would have gone through it.
std::optional<PluginUse> find_plugin(Reading& reading, ScenarioTable& table, PluginKind kind) {
  const std::string name = table.required_text("plugin");
  if (name.empty()) return std::nullopt;
  PluginUse use;
  if (const auto* plugin = reading.plugins.find(kind, name)) {
    use.name = name;
    use.revision = plugin->revision;
    use.stages = plugin->stages;
    use.library = plugin->path;
    use.library_digest = plugin->digest;
    return use;
  }
  const std::string what = kind == PluginKind::kAttack ? "attack" : "defense";
  for (const auto& refused : reading.plugins.refused()) {
    if (refused.path.filename() != name + ".plugin.so") continue;
    if (refused.is_faulty) {
      use.name = name;
      use.stages = kind == PluginKind::kDefense ? kStageServe : 0;
      use.fault = refused.reason;
      return use;
    }
    table.mistake("plugin", "the " + what + " plugin \"" + name + "\" was refused: " + refused.reason);
    return std::nullopt;
  }
  table.mistake("plugin", "there is no " + what + " plugin \"" + name + "\"." + suggestion(name, reading.plugins.names(kind)));
  return std::nullopt;
}

Params::State given_settings(const Reading& reading, ScenarioTable& table) {
  Params::State given = table.rest(reading.scenario.folder);
  given.missing = reading.missing;
  return given;
}

void construct(Reading& reading, ScenarioTable& table, const std::string& place, Params::State given, PluginUse& use,
               const ConstructUse& make) {
  auto state = std::make_shared<Params::State>(std::move(given));
  use.values = use.resolved = state->values;
  if (!use.fault.empty()) return;
  try {
    make(state);
    note_unread(*state, use.name);
  } catch (const PluginFault& fault) {
    use.fault = fault.what();
    return;
  } catch (const std::exception& error) {
    if (!state->lacks_file) table.mistake(place, "\"" + use.name + "\" cannot be made: " + error.what());
  }
  for (const auto& mistake : state->mistakes) reading.mistakes.add(mistake, table.place(place));
  use.resolved = state->resolved;
  use.files = state->files;
  for (const auto& setting : state->declared) {
    if (setting.type == "file" || setting.type == "command") use.file_settings.insert(setting.name);
  }
}

namespace {

void check_corpora(const Reading& reading, ScenarioTable& table, const PluginUse& use) {
  for (const auto& name : use.traits.corpora) {
    for (const auto& model : reading.scenario.models) {
      if (model.corpora.contains(name)) continue;
      std::vector<std::string> known;
      for (const auto& [each, source] : model.corpora) known.push_back(each);
      table.mistake("plugin", in_quotes(use.name) + " asks for the corpus " + in_quotes(name) + ", which the model " +
                                  in_quotes(model.name) + " has not: add " + name + " = \"file.jsonl\" under [corpora]." +
                                  (known.empty() ? "" : suggestion(name, known)));
      break;
    }
  }
}

}  // namespace

bool construct_plugin(Reading& reading, ScenarioTable& table, PluginKind kind, Params::State given, PluginUse& use,
                      const std::function<void(Params::State&)>& check) {
  bool made = false;
  construct(reading, table, "plugin", std::move(given), use, [&](const std::shared_ptr<Params::State>& state) {
    use.traits = reading.plugins.make(*reading.plugins.find(kind, use.name), *state);
    if (check) check(*state);
    if (!state->lacks_file && state->mistakes.empty()) check_corpora(reading, table, use);
    made = true;
  });
  return made;
}

Json settings_for_host(const Reading& reading, const PluginUse& use) {
  Json settings = settings_of(use);
  for (const auto& path : reading.missing) settings["missing"].push_back(path.string());
  return settings;
}

}  // namespace holdfast
