// Every method that trains or moderates says where it is from, what it costs and which settings were published, in its card and
// its README.
#include <gmock/gmock.h>

#include "base/json.h"
#include "plugin/shipped.h"

namespace holdfast {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

// Those that moderate have presets that cannot be taken as they stand: a user brings weights or a key (defenses_test.cpp).
const std::vector<std::string> kModerating = {"data-filter", "output-moderation", "input-moderation"};

std::vector<std::string> training_defenses() {
  std::vector<std::string> names;
  for (const auto& file : plugin_files({fs::path(HOLDFAST_BINARY_DIR) / "plugins"})) {
    const Plugin& plugin = load_library(file);
    if (plugin.kind == PluginKind::kDefense && (plugin.stages & (kStageAlign | kStageTune)) != 0) names.push_back(plugin.name);
  }
  return names;
}

// What its constructor says and reads with these settings.
std::shared_ptr<Params::State> introduced(const std::string& name, const Json& values) {
  const Settings settings = Settings::of(values);
  Params params(settings.state);
  shipped(name).make_defense(params);
  note_unread(*settings.state, name);
  EXPECT_EQ(settings.mistakes(), "") << name << " with " << values;
  return settings.state;
}

TEST(Cards, OfEveryMethodThatTrainsSayWhereItIsFromAndWhatItCosts) {
  auto names = training_defenses();
  EXPECT_GE(names.size(), 20u);
  names.insert(names.end(), kModerating.begin(), kModerating.end());
  for (const auto& name : names) {
    const auto state = introduced(name, Json::object());
    ASSERT_FALSE(state->card.is_null()) << name;
    EXPECT_THAT(state->card.at("source").get<std::string>(), Not(IsEmpty())) << name;
    EXPECT_THAT(state->card.at("cost").get<std::string>(), Not(IsEmpty())) << name;
    EXPECT_THAT(state->card.at("presets"), Not(IsEmpty())) << name;
  }
}

TEST(Cards, EachPresetIsTakenAsItStands) {
  for (const auto& name : training_defenses()) {
    const Json card = introduced(name, Json::object())->card;
    for (const auto& preset : card.at("presets")) {
      const auto state = introduced(name, {{"preset", preset.at("name")}});
      for (const auto& [setting, value] : preset.at("settings").items()) EXPECT_EQ(state->resolved.at(setting), value) << name;
    }
  }
}

TEST(Cards, ReadmesNameEverySettingAndPreset) {
  auto names = training_defenses();
  names.insert(names.end(), kModerating.begin(), kModerating.end());
  for (const auto& name : names) {
    const std::string readme = read_file(fs::path(HOLDFAST_SOURCE_DIR) / "plugins" / "defenses" / name / "README.md");
    const auto state = introduced(name, Json::object());
    for (const auto& setting : state->declared) {
      if (setting.name != kPresetSetting) EXPECT_THAT(readme, HasSubstr("`" + setting.name)) << name;
    }
    for (const auto& preset : state->card.at("presets")) {
      EXPECT_THAT(readme, HasSubstr(preset.at("name").get<std::string>())) << name;
    }
  }
}

}  // namespace
}  // namespace holdfast
