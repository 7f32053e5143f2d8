// Constructing anew what was constructed when the scenario was read: a plugin or a judge, from the settings of then.
#pragma once

#include "base/params_state.h"

namespace holdfast {

/// `settings` is {"name", "values", "resolved", "missing"?}; relative files start at `folder`.
std::shared_ptr<Params::State> planned_state(const Json& settings, const fs::path& folder);
/// Throws Error when the settings no longer resolve to the same values, for the stage's key would lie.
void check_as_planned(const Json& settings, const Params::State& state);

/// What `make` gives for the settings. Throws Error as check_as_planned, and whatever `make` throws.
template <typename Make>
auto made_as_planned(const Json& settings, const fs::path& folder, const Make& make) {
  const auto state = planned_state(settings, folder);
  Params params(state);
  auto made = make(params);
  check_as_planned(settings, *state);
  return made;
}

}  // namespace holdfast
