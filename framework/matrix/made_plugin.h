// Constructing plugins from settings that were checked when the scenario was read.
#pragma once

#include <memory>

#include "base/json.h"
#include "plugin/registry.h"

namespace holdfast {

/// `settings` is {"name", "values"}; relative files start at `folder`. Throws Error when this process finds no such plugin or
/// its settings no longer fit.
std::shared_ptr<Attack> made_attack(const Registry& registry, const Json& settings, const fs::path& folder);
DefenseStages made_defense(const Registry& registry, const Json& settings, const fs::path& folder);

}  // namespace holdfast
