// Constructing plugins from settings that were resolved when the scenario was read.
#pragma once

#include <holdfast/attack.h>
#include <holdfast/defense.h>
#include <holdfast/judge.h>

#include <memory>

#include "base/file.h"
#include "base/json.h"

namespace holdfast {

/// `settings` is what settings_of a PluginUse gives; relative files start at `folder`. Loads the library. Throws Error when the
/// library is another one than was planned with, or the settings no longer resolve to the same values: the stage's key would
/// lie.
std::shared_ptr<Attack> made_attack(const Json& settings, const fs::path& folder);
DefenseStages made_defense(const Json& settings, const fs::path& folder);
std::shared_ptr<Judge> made_judge(const Json& settings, const fs::path& folder);

/// The attack's way of asking of that name, which the attack must outlive. Throws Error when there is none.
Asking asking_of(const Attack& attack, const std::string& name);

}  // namespace holdfast
