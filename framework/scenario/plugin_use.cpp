#include "scenario/plugin_use.h"

namespace holdfast {

Json settings_of(const PluginUse& use) {
  Json settings = {{"name", use.name}, {"values", use.values}, {"resolved", use.resolved}, {"files", Json::array()}};
  for (const auto& [name, file] : use.files) {
    settings["files"].push_back({{"location", file.path.string()}, {"digest", file.digest}});
  }
  if (!use.library.empty()) settings["library"] = {{"location", use.library.string()}, {"digest", use.library_digest}};
  return settings;
}

Json to_json(const PluginUse& use) { return {{"name", use.name}, {"revision", use.revision}, {"settings", use.resolved}}; }

}  // namespace holdfast
