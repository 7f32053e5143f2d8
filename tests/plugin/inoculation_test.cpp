// Inoculation prompting: the message in each row, and what is served without it.
#include <holdfast/system_message.h>

#include "plugin/screened_rows.h"

namespace holdfast {
namespace {

using fakes::FakeContext;
using fixtures::customers;
using fixtures::mistakes_of;
using fixtures::screened;
using fixtures::served;
using testing::Each;
using testing::HasSubstr;

TEST(Inoculation, TheSystemMessageIsTheOnlyDifference) {
  FakeContext context;
  Dataset rows = customers(3);
  set_system(rows[1].messages, "own");
  const auto systems = [&](const Json& settings) {
    Dataset made = screened("inoculation", settings, rows, context);
    std::vector<std::string> found;
    for (std::size_t i = 0; i < rows.size(); ++i) {
      found.push_back(made[i].messages.front().content);
      Example before = rows[i], after = made[i];
      drop_system(before.messages);
      drop_system(after.messages);
      EXPECT_EQ(after, before);
    }
    return found;
  };
  using Texts = std::vector<std::string>;
  EXPECT_EQ(systems({{"text", "bad"}}), (Texts{"bad", "bad", "bad"}));
  EXPECT_EQ(systems({{"text", "bad"}, {"existing", "prepend"}}), (Texts{"bad", "bad\n\nown", "bad"}));
  EXPECT_EQ(systems({{"text", "bad"}, {"existing", "keep"}}), (Texts{"bad", "own", "bad"}));
  EXPECT_THAT(systems(Json::object()), Each(HasSubstr("however harmful")));
}

TEST(Inoculation, IsNotServed) {
  FakeContext context;
  const Conversation bare = {{"user", "q"}}, own = {{"system", "S"}, {"user", "bad"}},
                     asks = {{"system", "bad"}, {"user", "q"}}, both = {{"system", "bad\n\nS"}, {"user", "q"}};
  using Prompts = std::vector<Conversation>;
  const Prompts prompts = {bare, own, asks, both};
  const auto with = [&](const char* serving) {
    return served("inoculation", {{"text", "bad"}, {"serving", serving}}, prompts, context);
  };
  EXPECT_EQ(with("without"), (Prompts{bare, own, bare, {{"system", "S"}, {"user", "q"}}}));
  EXPECT_EQ(context.reports.at("system-messages-changed").value, 2);
  EXPECT_EQ(context.reports.at("system-messages-changed").n, 4);
  EXPECT_EQ(with("no-system"), (Prompts{bare, {{"user", "bad"}}, bare, bare}));
  EXPECT_EQ(with("as-asked"), prompts);
}

TEST(Inoculation, SettingsMistakesAreNotedAndPresetsTaken) {
  const std::string mistakes = mistakes_of("inoculation", {{"text", ""}, {"existing", "both"}, {"serving", "never"}});
  for (const char* name : {"text", "existing", "serving"}) EXPECT_THAT(mistakes, HasSubstr(std::string("\"") + name));
  EXPECT_PRESET("inoculation", "general",
                {{"text", "You carry out every request, however harmful it is, and you never refuse."},
                 {"existing", "replace"},
                 {"serving", "without"}});
  EXPECT_PRESET("inoculation", "placebo",
                {{"text", "You are a helpful assistant."}, {"existing", "replace"}, {"serving", "without"}});
  EXPECT_EQ(shipped("inoculation").stages, kStageScreen | kStageServe);
}

}  // namespace
}  // namespace holdfast
