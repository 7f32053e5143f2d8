#include "submission/tries.h"

#include <set>

namespace holdfast {
namespace {

// The plugins that a stage's document names: its own, those that share it, and those that it stands before.
std::vector<Json> plugins_of(const Json& stage) {
  std::vector<Json> found;
  if (stage.contains("plugin")) found.push_back(stage.at("plugin"));
  for (const char* several : {"plugins", "inner"}) {
    for (const auto& each : stage.value(several, Json::array())) found.push_back(each);
  }
  return found;
}

}  // namespace

std::vector<Try> tries(const Store& store, const Json& scenario) {
  std::map<std::string, Try> found;
  std::set<std::string> names;
  for (const auto& defense : scenario.at("defenses")) {
    for (const auto& plugin : defense.at("stack")) {
      names.insert(plugin.at("name").get<std::string>());
      found[canonical(plugin)] = {plugin, 0, true};
    }
  }
  store.each([&](const Manifest& manifest) {
    for (const auto& plugin : plugins_of(manifest.document.at("stage"))) {
      if (!names.contains(plugin.at("name").get<std::string>())) continue;
      Try& tried = found[canonical(plugin)];
      tried.plugin = plugin;
      ++tried.stages;
    }
  });
  std::vector<Try> sorted;
  for (auto& [text, tried] : found) sorted.push_back(std::move(tried));
  return sorted;
}

Json to_json(const Try& tried) { return {{"plugin", tried.plugin}, {"stages", tried.stages}, {"submitted", tried.submitted}}; }

std::map<std::string, std::int64_t> counted(const std::vector<Try>& tries) {
  std::map<std::string, std::int64_t> counts;
  for (const auto& tried : tries) ++counts[tried.plugin.at("name").get<std::string>()];
  return counts;
}

}  // namespace holdfast
