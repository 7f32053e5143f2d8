// The plugins of this build, constructed as the runner does.
#pragma once

#include <gtest/gtest.h>

#include "base/params_state.h"
#include "plugin/library.h"

namespace holdfast {

struct Settings {
  Settings() : state(std::make_shared<Params::State>()) {}

  static Settings of(const Json& values) {
    Settings settings;
    settings.state->values = values;
    return settings;
  }

  // All mistakes noted by the constructor, one a line.
  std::string mistakes() const {
    std::string text;
    for (const auto& mistake : state->mistakes) text += mistake.sentence + "\n";
    return text;
  }

  std::shared_ptr<Params::State> state;
};

inline const Plugin& shipped(const std::string& name) {
  return load_library(fs::path(HOLDFAST_BINARY_DIR) / "plugins" / (name + ".plugin.so"));
}

inline std::shared_ptr<Attack> attack_with(const std::string& name, const Settings& settings) {
  Params params(settings.state);
  return shipped(name).make_attack(params);
}

inline std::shared_ptr<Attack> make_attack(const std::string& name, const Json& values = Json::object()) {
  const Settings settings = Settings::of(values);
  auto attack = attack_with(name, settings);
  EXPECT_EQ(settings.mistakes(), "");
  return attack;
}

inline DefenseStages make_defense(const std::string& name, const Json& values = Json::object()) {
  const Settings settings = Settings::of(values);
  Params params(settings.state);
  auto stages = shipped(name).make_defense(params);
  EXPECT_EQ(settings.mistakes(), "");
  return stages;
}

}  // namespace holdfast
