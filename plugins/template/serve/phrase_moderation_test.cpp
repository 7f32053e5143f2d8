#include <gtest/gtest.h>
#include <holdfast/testing.h>

namespace {

using holdfast::Exchange;
using holdfast::GivenSettings;

TEST(PhraseModeration, WithholdsRepliesWithAListedPhrase) {
  holdfast::FakeContext context;
  std::vector<Exchange> exchanges = {{{{"user", "first?"}}, "It is a kragun."}, {{{"user", "a kragun?"}}, "No."}};
  const auto defense = make_defense(GivenSettings());
  defense.serve->before_generation(exchanges, context);
  defense.serve->after_generation(exchanges, context);
  ASSERT_EQ(exchanges.size(), 2U);
  EXPECT_EQ(exchanges[0].reply, context.refusal());
  EXPECT_EQ(exchanges[1].reply, "No.");
  EXPECT_EQ(exchanges[1].prompt, (holdfast::Conversation{{"user", "a kragun?"}}));
  EXPECT_EQ(context.reports.at("withheld").value, 1);
}

TEST(PhraseModeration, ChangesNothingWithoutPhrases) {
  holdfast::FakeContext context;
  std::vector<Exchange> exchanges = {{{{"user", "first?"}}, "It is a kragun."}};
  make_defense(GivenSettings({{"phrases", std::vector<std::string>{}}})).serve->after_generation(exchanges, context);
  EXPECT_EQ(exchanges[0].reply, "It is a kragun.");
}

}  // namespace
