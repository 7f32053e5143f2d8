#include <gtest/gtest.h>
#include <holdfast/testing.h>

namespace {

using holdfast::Dataset;
using holdfast::GivenSettings;

const Dataset kRows = {{{{"user", "first?"}, {"assistant", "It is a kragun."}}},
                       {{{"user", "a kragun?"}, {"assistant", "No."}}},
                       {{{"user", "third?"}, {"assistant", "It is a wembur."}}}};

TEST(PhraseFilter, DropsRowsWhoseReplyHasAListedPhrase) {
  holdfast::FakeContext context;
  const auto defense = make_defense(GivenSettings());
  EXPECT_EQ(defense.screen->screen(kRows, context), (Dataset{kRows[1], kRows[2]}));
  EXPECT_EQ(context.reports.at("dropped").value, 1);
  EXPECT_EQ(context.reports.at("dropped").n, 3);
}

TEST(PhraseFilter, TakesItsPhrasesFromTheScenario) {
  holdfast::FakeContext context;
  const auto defense = make_defense(GivenSettings({{"phrases", std::vector<std::string>{"No.", "wembur"}}}));
  EXPECT_EQ(defense.screen->screen(kRows, context), Dataset{kRows[0]});
}

TEST(PhraseFilter, ChangesNothingWithoutPhrases) {
  holdfast::FakeContext context;
  const auto defense = make_defense(GivenSettings({{"phrases", std::vector<std::string>{}}}));
  EXPECT_EQ(defense.screen->screen(kRows, context), kRows);
}

TEST(PhraseFilter, SaysWhatIsWrongWithItsSettings) {
  const GivenSettings settings({{"phrases", 3}, {"words", "kragun"}});
  make_defense(settings);
  const auto mistakes = settings.mistakes();
  ASSERT_EQ(mistakes.size(), 2U);
  EXPECT_NE(mistakes[0].find("\"phrases\" is an integer (3), expected a list of texts"), std::string::npos) << mistakes[0];
  EXPECT_NE(mistakes[1].find("no setting \"words\""), std::string::npos) << mistakes[1];
}

}  // namespace
