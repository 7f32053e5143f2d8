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

/// Hands what nobody read of the table to `make`; its mistakes stand at their settings, or at `place`. Fills in values,
/// resolved settings and files of `use`, or its fault.
void construct(Reading& reading, ScenarioTable& table, const std::string& place, PluginUse& use, const ConstructUse& make);

/// The same for a plugin. Returns the bits of its stages that ask for the aligned model; none when it could not be made.
std::optional<unsigned> construct_plugin(Reading& reading, ScenarioTable& table, PluginKind kind, PluginUse& use);

/// What the host constructs it from once more; there, gated files may be missing.
Json settings_for_host(const Reading& reading, const PluginUse& use);

}  // namespace holdfast
