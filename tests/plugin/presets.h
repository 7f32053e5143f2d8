// Presets of the plugins of this build, by the settings that they resolve to.
#pragma once

#include "plugin/shipped.h"

namespace holdfast {

/// Whether the preset of that defense sets just these settings to these values, and the rest stays as it is without one.
inline void expect_preset(const std::string& plugin, const std::string& preset, const std::map<std::string, Json>& expected) {
  const auto resolved = [&](const Json& values) {
    const Settings settings = Settings::of(values);
    Params params(settings.state);
    shipped(plugin).make_defense(params);
    note_unread(*settings.state, plugin);
    EXPECT_EQ(settings.mistakes(), "");
    return settings.state;
  };
  Json wanted = resolved(Json::object())->resolved;
  for (const auto& [name, value] : expected) wanted[name] = value;
  const auto with = resolved({{"preset", preset}});
  EXPECT_EQ(with->resolved, wanted);
  EXPECT_EQ(with->preset.size(), expected.size()) << "it sets " << with->preset;
}

}  // namespace holdfast

#define EXPECT_PRESET(plugin, preset, ...)                  \
  do {                                                      \
    SCOPED_TRACE(std::string(plugin) + " " + (preset));     \
    ::holdfast::expect_preset(plugin, preset, __VA_ARGS__); \
  } while (false)
