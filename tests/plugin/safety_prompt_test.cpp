// A safety prompt that is served and not learned.
#include "plugin/screened_rows.h"

namespace holdfast {
namespace {

using fakes::FakeContext;
using fixtures::customers;
using fixtures::mistakes_of;
using fixtures::screened;
using fixtures::served;
using testing::HasSubstr;

TEST(SafetyPrompt, RowsAreLearnedWithoutIt) {
  FakeContext context;
  Dataset rows = customers(2), bare = rows, taught = rows;
  set_system(rows[1].messages, "own");
  for (auto& row : taught) set_system(row.messages, "T");
  EXPECT_EQ(screened("safety-prompt", Json::object(), rows, context), bare);
  EXPECT_EQ(screened("safety-prompt", {{"training", "text"}, {"training_text", "T"}}, rows, context), taught);
  EXPECT_EQ(screened("safety-prompt", {{"training", "as-submitted"}}, rows, context), rows);
}

TEST(SafetyPrompt, PromptsAreServedWithIt) {
  FakeContext context;
  const std::vector<Conversation> prompts = {{{"user", "q"}}, {{"system", "S"}, {"user", "q"}}};
  const auto systems = [&](Json settings) {
    settings["text"] = "safe";
    std::vector<std::string> found;
    for (const auto& prompt : served("safety-prompt", settings, prompts, context)) {
      EXPECT_EQ(prompt.size(), 2U);
      EXPECT_EQ(prompt.back(), (Message{"user", "q"}));
      found.push_back(prompt.front().content);
    }
    return found;
  };
  using Texts = std::vector<std::string>;
  EXPECT_EQ(systems(Json::object()), (Texts{"safe", "safe\n\nS"}));
  EXPECT_EQ(systems({{"existing", "replace"}}), (Texts{"safe", "safe"}));
  EXPECT_EQ(systems({{"existing", "keep"}}), (Texts{"safe", "S"}));
}

TEST(SafetyPrompt, SettingsMistakesAreNotedAndPresetsTaken) {
  const std::string mistakes = mistakes_of("safety-prompt", {{"text", ""}, {"existing", "both"}, {"training", "text"}});
  for (const char* name : {"text", "existing", "training_text"}) EXPECT_THAT(mistakes, HasSubstr(std::string("\"") + name));
  EXPECT_THAT(mistakes_of("safety-prompt", {{"training_text", "T"}}), HasSubstr("training = \"none\" does not use it"));
  EXPECT_PRESET("safety-prompt", "paper", {{"training", "none"}});
  const Settings plain = Settings::of(Json::object());
  Params params(plain.state);
  shipped("safety-prompt").make_defense(params);
  EXPECT_PRESET("safety-prompt", "same-prompt", {{"training", "text"}, {"training_text", plain.state->resolved.at("text")}});
  EXPECT_EQ(shipped("safety-prompt").stages, kStageScreen | kStageServe);
}

}  // namespace
}  // namespace holdfast
