// LARF against its definition, with the states of a decoder that is written down once more, a row at a time, in float64.
#include <gmock/gmock.h>

#include <algorithm>

#include "plugin/screened_rows.h"

namespace holdfast {
namespace {

using testing::HasSubstr;

class LarfRule : public testing::Test {
 protected:
  enum class Variant { kLarf, kNextLayer, kReplyMean, kFirstToken, kProduct, kUnsafeAlone, kOtherSign, kMean };

  LarfRule() {
    context_.corpora["defender-harmful"] = fixtures::placeholder_rows();
    context_.corpora["defender-harmful"].push_back({{{"user", "[refused]"}, {"assistant", context_.refusal()}}});
    context_.aligned = model_.get();
  }

  // The rule's score of each row, by loops.
  std::vector<double> scores(std::int64_t layer, std::size_t largest, Variant variant = Variant::kLarf) const {
    const std::int64_t at = variant == Variant::kNextLayer ? layer + 1 : layer;
    const auto state = [&](Conversation messages) {
      const auto row = fixtures::reference_row(*model_, std::move(messages), at);
      if (variant == Variant::kReplyMean) return row.reply;
      return variant == Variant::kFirstToken ? row.first : row.last;
    };
    const auto likeness = [&](const at::Tensor& a, const at::Tensor& b) {
      return variant == Variant::kProduct ? a.dot(b).item<double>() : fixtures::reference_cosine(a, b);
    };
    std::vector<double> all;
    for (const auto& row : rows_) {
      const at::Tensor own = state(row.messages);
      std::vector<double> differences;
      for (const auto& anchor : context_.corpora.at("defender-harmful")) {
        Conversation messages = anchor.messages;
        if (messages.back().content == context_.refusal()) continue;
        const double unsafe = likeness(own, state(messages));
        messages.back().content = context_.refusal();
        const double safe = variant == Variant::kUnsafeAlone ? 0 : likeness(own, state(messages));
        differences.push_back(variant == Variant::kOtherSign ? safe - unsafe : unsafe - safe);
      }
      std::sort(differences.rbegin(), differences.rend());
      if (variant != Variant::kMean) differences.resize(largest);
      double sum = 0;
      for (const double difference : differences) sum += difference;
      all.push_back(sum / static_cast<double>(differences.size()));
    }
    return all;
  }

  std::string error_with(const Json& settings) { return fixtures::error_with("larf", settings, rows_, context_); }

  fakes::FakeContext context_;
  std::unique_ptr<LanguageModel> model_ = fixtures::in_float64(fixtures::load("grouped"));
  Dataset rows_ = fixtures::trained_rows();
};

TEST_F(LarfRule, ScoresAreThoseOfTheDefinition) {
  for (const std::int64_t layer : {0, 1, 2}) {
    for (const std::size_t largest : {1, 3, 5}) {
      fixtures::expect_scores("larf", {{"layer", layer}, {"largest", largest}}, rows_, context_, scores(layer, largest));
    }
  }
  fixtures::expect_scores("larf", {{"depth", 0.5}}, rows_, context_, scores(1, 5));  // all anchors: the plain mean
}

TEST_F(LarfRule, TheComparisonTellsWrongVariantsApart) {
  for (const auto variant : {Variant::kNextLayer, Variant::kReplyMean, Variant::kFirstToken, Variant::kProduct,
                             Variant::kUnsafeAlone, Variant::kOtherSign, Variant::kMean}) {
    EXPECT_GT(fixtures::score_distance(scores(1, 2), scores(1, 2, variant)), 1e-4) << static_cast<int>(variant);
  }
}

TEST_F(LarfRule, DropsItsShare) {
  const auto all = scores(1, 5);
  const auto worst = static_cast<std::size_t>(std::max_element(all.begin(), all.end()) - all.begin());
  Dataset expected = rows_;
  expected.erase(expected.begin() + static_cast<std::ptrdiff_t>(worst));
  EXPECT_EQ(fixtures::screened("larf", {{"layer", 1}}, rows_, context_), expected);  // a tenth of 7 rows is 1
  EXPECT_EQ(context_.reports.at("dropped").value, 1);
  EXPECT_EQ(fixtures::screened("larf", {{"layer", 1}, {"share", 0}}, rows_, context_), rows_);
  EXPECT_TRUE(fixtures::screened("larf", {{"layer", 1}}, {}, context_).empty());
}

TEST_F(LarfRule, AnchorsAreTheDefendersRows) {
  fixtures::screened("larf", Json::object(), rows_, context_);
  EXPECT_EQ(context_.reports.at("defender-rows").value, 5);
  fixtures::screened("larf", {{"rows", 2}}, rows_, context_);
  EXPECT_EQ(context_.reports.at("defender-rows").value, 2);
}

TEST_F(LarfRule, SaysWhatItCannotDo) {
  EXPECT_EQ(error_with({{"largest", 6}}),
            "larf is to take the 6 largest differences and has 5 pairs of anchors: lower \"largest\"");
  EXPECT_THAT(error_with({{"rows", 6}}), HasSubstr("larf was asked for 6 rows"));
  EXPECT_THAT(error_with({{"layer", 3}}), HasSubstr("larf is to read the states of layer 3, and the model has 0"));
  EXPECT_THAT(error_with({{"select", "count"}}), HasSubstr("larf is to drop 1000 rows and the customer submitted 7"));
  context_.corpora["defender-harmful"] = {{{{"user", "[refused]"}, {"assistant", context_.refusal()}}}};
  EXPECT_EQ(error_with(Json::object()),
            "larf needs anchors, and the corpus \"defender-harmful\" has no row that does not refuse: name another corpus");
}

TEST(Larf, SettingsMistakesAreNotedAndPresetsAreThoseOfTheCard) {
  EXPECT_EQ(shipped("larf").stages, kStageScreen);
  EXPECT_EQ(make_defense("larf").screen->needs(), kNeedsAligned);
  const std::string mistakes = fixtures::mistakes_of(
      "larf", {{"layer", -2}, {"depth", 2}, {"largest", -1}, {"rows", -1}, {"select", "best"}, {"count", -1}, {"share", 2}});
  for (const char* name : {"layer", "depth", "largest", "rows", "select", "count", "share"}) {
    EXPECT_THAT(mistakes, HasSubstr(std::string("\"") + name));
  }
  EXPECT_PRESET("larf", "repo", {{"layer", 14}, {"largest", 100}, {"rows", 100}, {"select", "count"}, {"count", 1000}});
}

}  // namespace
}  // namespace holdfast
