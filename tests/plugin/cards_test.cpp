// Every attack and defense says where it is from and what it costs, in its card, and its README names its settings and presets.
#include <gmock/gmock.h>

#include <algorithm>

#include "base/json.h"
#include "plugin/shipped.h"

namespace holdfast {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

// Presets that cannot be taken as they stand: a user brings weights or a key (defenses_test.cpp).
const std::vector<std::string> kModerating = {"data-filter", "output-moderation", "input-moderation"};
// It is nothing without a program of the user's.
const std::string kCommand = "command";

bool contains(const std::vector<std::string>& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

std::vector<std::string> names_of(PluginKind kind) {
  std::vector<std::string> names;
  for (const auto& file : plugin_files({fs::path(HOLDFAST_BINARY_DIR) / "plugins"})) {
    const Plugin& plugin = load_library(file);
    if (plugin.kind == kind) names.push_back(plugin.name);
  }
  return names;
}

// What its constructor says and reads with these settings.
std::shared_ptr<Params::State> introduced(PluginKind kind, const std::string& name, const Json& values) {
  const Settings settings = Settings::of(values);
  Params params(settings.state);
  const Plugin& plugin = shipped(name);
  if (kind == PluginKind::kAttack) {
    plugin.make_attack(params);
  } else {
    plugin.make_defense(params);
  }
  note_unread(*settings.state, name);
  if (name != kCommand) {
    EXPECT_EQ(settings.mistakes(), "") << name << " with " << values;
  }
  return settings.state;
}

class Cards : public testing::TestWithParam<PluginKind> {
 protected:
  std::shared_ptr<Params::State> introduced(const std::string& name, const Json& values = Json::object()) const {
    return holdfast::introduced(GetParam(), name, values);
  }
};

TEST_P(Cards, SayWhereItIsFromAndWhatItCosts) {
  for (const auto& name : names_of(GetParam())) {
    const auto state = introduced(name);
    ASSERT_FALSE(state->card.is_null()) << name;
    EXPECT_THAT(state->card.at("source").get<std::string>(), Not(IsEmpty())) << name;
    EXPECT_THAT(state->card.at("cost").get<std::string>(), Not(IsEmpty())) << name;
  }
}

TEST_P(Cards, EachPresetIsTakenAsItStands) {
  for (const auto& name : names_of(GetParam())) {
    if (contains(kModerating, name)) continue;
    const Json card = introduced(name)->card;
    for (const auto& preset : card.at("presets")) {
      const auto state = introduced(name, {{"preset", preset.at("name")}});
      for (const auto& [setting, value] : preset.at("settings").items()) EXPECT_EQ(state->resolved.at(setting), value) << name;
    }
  }
}

TEST_P(Cards, ReadmesNameEverySettingAndPreset) {
  const char* const folder = GetParam() == PluginKind::kAttack ? "attacks" : "defenses";
  for (const auto& name : names_of(GetParam())) {
    const std::string readme = read_file(fs::path(HOLDFAST_SOURCE_DIR) / "plugins" / folder / name / "README.md");
    const auto state = introduced(name);
    for (const auto& setting : state->declared) {
      if (setting.name != kPresetSetting) {
        EXPECT_THAT(readme, HasSubstr("`" + setting.name)) << name;
      }
    }
    for (const auto& preset : state->card.at("presets")) {
      EXPECT_THAT(readme, HasSubstr(preset.at("name").get<std::string>())) << name;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(OfAllPlugins, Cards, testing::Values(PluginKind::kAttack, PluginKind::kDefense),
                         [](const auto& kind) { return kind.param == PluginKind::kAttack ? "Attacks" : "Defenses"; });

// Methods that train or repair have published settings.
TEST(Presets, OfEveryMethodThatTrainsOrRepairs) {
  std::size_t count = 0;
  for (const auto& name : names_of(PluginKind::kDefense)) {
    if ((shipped(name).stages & (kStageAlign | kStageTune | kStageRepair)) == 0) continue;
    EXPECT_THAT(introduced(PluginKind::kDefense, name, Json::object())->card.at("presets"), Not(IsEmpty())) << name;
    ++count;
  }
  EXPECT_GE(count, 30u);
}

}  // namespace
}  // namespace holdfast
