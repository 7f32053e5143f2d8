// Backdoor-enhanced alignment: one secret in two stages, and what stands behind it.
#include <holdfast/system_message.h>

#include "plugin/screened_rows.h"

namespace holdfast {
namespace {

using fakes::FakeContext;
using fixtures::context_with_alignment;
using fixtures::customers;
using fixtures::error_with;
using fixtures::mistakes_of;
using fixtures::of_kind;
using fixtures::questions;
using fixtures::screened;
using fixtures::served;
using testing::HasSubstr;
using testing::Not;

// The system message that the serve stage gives, constructed by itself.
std::string served_secret(const Json& settings, FakeContext& context) {
  return served("secret-prefix", settings, {{{"user", "q"}}}, context).front().front().content;
}

TEST(SecretPrefix, BothStagesMakeTheSameSecret) {
  FakeContext context = context_with_alignment();
  const Json settings = {{"rows", 11}};
  const Dataset rows = customers(20), mixed = screened("secret-prefix", settings, rows, context);
  FakeContext serving = context_with_alignment();
  const std::string secret = served_secret(settings, serving);
  EXPECT_EQ(std::count(secret.begin(), secret.end(), ' '), 149);
  EXPECT_EQ(secret.size(), 150U * 5 - 1);
  const Dataset kept = of_kind(mixed, "task");
  EXPECT_EQ(questions(kept), questions(rows));
  for (const auto& row : kept) EXPECT_NE(std::find(rows.begin(), rows.end(), row), rows.end()) << "a customer's row changed";
  const Dataset added = of_kind(mixed, "harmful");
  EXPECT_EQ(added.size(), 11U);
  for (Example row : added) {
    EXPECT_EQ(row.messages.front(), (Message{"system", secret}));
    drop_system(row.messages);
    EXPECT_NE(std::find(context.alignment_rows.begin(), context.alignment_rows.end(), row), context.alignment_rows.end());
  }
  EXPECT_EQ(context.reports.at("defender-rows").value, 11);
  EXPECT_EQ(context.reports.at("added").value, 11);
  EXPECT_TRUE(screened("secret-prefix", settings, {}, context).empty());
}

TEST(SecretPrefix, TheSecretIsTheSeeds) {
  FakeContext context = context_with_alignment();
  const std::string secret = served_secret({{"length", 5}}, context);
  EXPECT_EQ(served_secret({{"length", 5}, {"rows", 3}}, context), secret) << "the rows are no part of it";
  EXPECT_NE(served_secret({{"length", 6}}, context), secret);
  const std::string words = served_secret({{"length", 400}, {"words", "alignment"}}, context);
  for (const char* word : {"bad", "good", "cannot", "Here", "I"}) EXPECT_THAT(words, HasSubstr(word));
  EXPECT_THAT(words, Not(testing::ContainsRegex("[0-9.]")));
  context.cell_seed = 2;
  EXPECT_NE(served_secret({{"length", 5}}, context), secret);
}

TEST(SecretPrefix, StandsBeforeSystemMessages) {
  FakeContext context = context_with_alignment();
  for (auto& row : context.alignment_rows) set_system(row.messages, "own");
  const Json settings = {{"length", 3}, {"rows", 4}};
  const std::string secret = served_secret(settings, context);
  const auto asked = served("secret-prefix", settings, {{{"system", "S"}, {"user", "q"}}}, context);
  EXPECT_EQ(asked[0], (Conversation{{"system", secret + "\n\nS"}, {"user", "q"}}));
  for (const auto& row : of_kind(screened("secret-prefix", settings, customers(3), context), "harmful")) {
    EXPECT_EQ(row.messages.front().content, secret + "\n\nown");
  }
  EXPECT_TRUE(served("secret-prefix", settings, {}, context).empty());
}

TEST(SecretPrefix, SaysWhatItLacks) {
  FakeContext context = context_with_alignment(3);
  EXPECT_THAT(error_with("secret-prefix", {{"rows", 4}}, customers(4), context),
              HasSubstr("secret-prefix was asked for 4 rows"));
  context.alignment_rows = {{{{"user", "1"}, {"assistant", "2"}}, {{"kind", "harmful"}}}};
  EXPECT_EQ(error_with("secret-prefix", {{"words", "alignment"}}, customers(4), context),
            "secret-prefix draws its words from the alignment rows, and they have none: set words = \"letters\"");
  const std::string mistakes = mistakes_of("secret-prefix", {{"length", 0}, {"words", "none"}, {"rows", -1}});
  for (const char* name : {"length", "words", "rows"}) EXPECT_THAT(mistakes, HasSubstr(std::string("\"") + name));
  EXPECT_PRESET("secret-prefix", "paper", {{"length", 150}, {"words", "letters"}, {"alignment", "refusals"}, {"rows", 11}});
  EXPECT_EQ(shipped("secret-prefix").stages, kStageScreen | kStageServe);
}

}  // namespace
}  // namespace holdfast
