#include "matrix/made_plugin.h"

#include <holdfast/error.h>

#include "base/params_state.h"

namespace holdfast {
namespace {

template <typename Make>
auto made(const Registry& registry, PluginKind kind, const Json& settings, const fs::path& folder, const Make& make) {
  const auto name = settings.at("name").get<std::string>();
  const Plugin* plugin = registry.find(kind, name);
  if (plugin == nullptr) throw Error("the plugin \"" + name + "\" is gone");
  auto state = std::make_shared<Params::State>();
  state->values = settings.at("values");
  state->folder = folder;
  Params params(state);
  auto constructed = make(*plugin, params);
  if (!state->mistakes.empty()) throw Error(state->mistakes.front().sentence);
  return constructed;
}

}  // namespace

std::shared_ptr<Attack> made_attack(const Registry& registry, const Json& settings, const fs::path& folder) {
  return made(registry, PluginKind::kAttack, settings, folder,
              [](const Plugin& plugin, Params& params) { return plugin.make_attack(params); });
}

DefenseStages made_defense(const Registry& registry, const Json& settings, const fs::path& folder) {
  return made(registry, PluginKind::kDefense, settings, folder,
              [](const Plugin& plugin, Params& params) { return plugin.make_defense(params); });
}

}  // namespace holdfast
