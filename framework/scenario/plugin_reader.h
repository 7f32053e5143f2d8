// Plugins and judges that a scenario names: found, and constructed once to see whether their settings fit.
#pragma once

#include <functional>
#include <memory>
#include <optional>

#include "scenario/reading.h"

namespace holdfast {

/// The plugin that "plugin" of the table names; none, and a mistake, when there is no such one.
std::optional<PluginUse> find_plugin(Reading& reading, ScenarioTable& table, PluginKind kind);

/// Constructs from settings and notes there what it declared, resolved and found wrong.
using ConstructUse = std::function<void(const std::shared_ptr<Params::State>&)>;

/// What nobody read of the table, as settings of the plugin or judge that it names.
Params::State given_settings(const Reading& reading, ScenarioTable& table);

/// Hands these settings to `make`; its mistakes stand at them, or at `place` of the table. Fills in values, resolved settings
/// and files of `use`, or its fault.
void construct(Reading& reading, ScenarioTable& table, const std::string& place, Params::State given, PluginUse& use,
               const ConstructUse& make);

/// The same for a plugin, with its traits; `check` sees what was made before settings that nobody read are mistakes. False when
/// it could not be made.
bool construct_plugin(Reading& reading, ScenarioTable& table, PluginKind kind, Params::State given, PluginUse& use,
                      const std::function<void(Params::State&)>& check = {});

/// What the host constructs it from once more; there, gated files may be missing.
Json settings_for_host(const Reading& reading, const PluginUse& use);

}  // namespace holdfast
