// Benign rows picked by likeness or by influence, against scores from a decoder that is written down once more, in float64.
#include <gmock/gmock.h>
#include <holdfast/row_ranking.h>

#include <cmath>

#include "plugin/reference_states.h"
#include "plugin/training_context.h"

namespace holdfast {
namespace {

using fixtures::Named;
using testing::HasSubstr;

class Outliers : public testing::Test {
 protected:
  enum class Variant { kRule, kReplyMean, kBlockState, kAnchorMean, kWholeAnchors, kHarmfulAlone, kLongGradients };

  Outliers() {
    context_.corpora["benign"] = fixtures::trained_rows();
    context_.corpora["harmful"] = fixtures::placeholder_rows();
    context_.aligned = model_.get();
  }

  const Dataset& pool() { return context_.corpora.at("benign"); }

  // The harmful rows as the seed has them.
  Dataset anchors() {
    Dataset rows = context_.corpora.at("harmful");
    Random(context_.seed("anchors")).shuffle(rows);
    return rows;
  }

  std::vector<double> likeness(std::size_t count, std::size_t nearest, Variant variant = Variant::kRule) {
    const auto state = [&](const Example& row) {
      const auto states = fixtures::reference_row(*model_, row.messages, variant == Variant::kBlockState ? 2 : -1);
      return variant == Variant::kReplyMean ? states.reply : states.last;
    };
    std::vector<double> scores;
    for (const auto& row : pool()) {
      std::vector<double> cosines;
      for (std::size_t i = 0; i < count; ++i) cosines.push_back(fixtures::reference_cosine(state(row), state(anchors()[i])));
      std::sort(cosines.rbegin(), cosines.rend());
      if (variant != Variant::kAnchorMean) cosines.resize(nearest);
      double sum = 0;
      for (const double cosine : cosines) sum += cosine;
      scores.push_back(sum / static_cast<double>(cosines.size()));
    }
    return scores;
  }

  // Of the mean loss over the first label tokens of a row.
  Named gradient(const Example& row, std::size_t tokens = 1000) {
    Encoded encoded = model_->encode(row.messages);
    std::size_t seen = 0;
    for (std::size_t i = 0; i < encoded.label.size(); ++i) {
      if (encoded.label[i] && ++seen > tokens) encoded.label[i] = false;
    }
    return fixtures::reference_gradients(
        *model_, fixtures::values_of(*model_->copy()),
        [&](const fixtures::ReferenceDecoder& decoder, const Named&) { return fixtures::reference_loss(decoder, {encoded}); });
  }

  static Named zero(const Named& like) { return fixtures::plus(like, -1, like); }

  std::vector<double> harmful_likeness(std::size_t set, std::size_t tokens, bool accumulate, Variant variant = Variant::kRule) {
    const auto unit = [&](const Named& g) {
      return fixtures::plus(zero(g), variant == Variant::kLongGradients ? 1 : 1 / fixtures::length_of(g), g);
    };
    const auto mean = [&](Dataset rows, bool refused) {
      Named sum = zero(gradient(rows[0]));
      for (auto& row : rows) {
        if (refused) row.messages.back().content = context_.refusal();
        sum = fixtures::plus(sum, 1.0 / static_cast<double>(rows.size()),
                             unit(gradient(row, variant == Variant::kWholeAnchors ? 1000 : tokens)));
      }
      return sum;
    };
    const Dataset all = anchors();
    const auto at = [&](std::size_t from) {
      return Dataset(all.begin() + static_cast<std::ptrdiff_t>(from), all.begin() + static_cast<std::ptrdiff_t>(from + set));
    };
    const Named harmful = mean(at(0), false), safe = mean(at(0), true), safe_too = mean(at(set), true);
    std::vector<double> scores;
    Named sum = zero(harmful);
    for (const auto& row : pool()) {
      Named own = gradient(row);
      if (accumulate) own = sum = fixtures::plus(sum, 1, own);
      own = unit(own);
      double score = fixtures::dot_of(own, harmful);
      if (variant != Variant::kHarmfulAlone) score -= fixtures::dot_of(own, safe) + fixtures::dot_of(own, safe_too);
      scores.push_back(score);
    }
    return scores;
  }

  // The rows that the attack submits, all of them with a score, are those of the rule in its order.
  void expect_picks(Json settings, const std::vector<double>& scores) {
    const auto order = ranked(scores, "the rule");
    for (std::size_t i = 1; i < order.size(); ++i) ASSERT_GT(scores[order[i - 1]] - scores[order[i]], 1e-9);
    for (std::size_t count = 1; count <= scores.size(); ++count) {
      Dataset expected;
      for (std::size_t i = 0; i < count; ++i) expected.push_back(pool()[order[i]]);
      settings["examples"] = count;
      EXPECT_EQ(make_attack("outlier-benign", settings)->collect(context_), expected) << settings;
    }
  }

  std::string error_with(const Json& settings) {
    try {
      make_attack("outlier-benign", settings)->collect(context_);
    } catch (const Error& error) {
      return error.what();
    }
    return "no error";
  }

  fakes::TrainingContext context_;
  std::unique_ptr<LanguageModel> model_ = fixtures::in_float64(fixtures::load("grouped"));
};

TEST_F(Outliers, ByRepresentationAreThoseOfTheDefinition) {
  expect_picks({{"anchors", 5}}, likeness(5, 1));
  expect_picks({{"anchors", 3}, {"nearest", 2}}, likeness(3, 2));
}

TEST_F(Outliers, ByGradientAreThoseOfTheDefinition) {
  const Json settings = {{"by", "gradient"}, {"anchors", 2}, {"tokens", 3}};
  expect_picks(settings, harmful_likeness(2, 3, false));
  Json accumulated = settings;
  accumulated["accumulate"] = true;
  expect_picks(accumulated, harmful_likeness(2, 3, true));
}

TEST_F(Outliers, BySelfInfluenceAreThoseOfTheDefinition) {
  std::vector<double> squares, weighed;
  for (const auto& row : pool()) {
    const auto labels = model_->encode(row.messages).label;
    const double square = std::pow(fixtures::length_of(gradient(row)), 2);
    squares.push_back(square);
    weighed.push_back(std::log(square + 1) + std::log(static_cast<double>(std::count(labels.begin(), labels.end(), true)) + 1));
  }
  expect_picks({{"by", "self-influence"}}, weighed);
  expect_picks({{"by", "self-influence"}, {"influence", "squared-norm"}}, squares);
  EXPECT_NE(ranked(weighed, ""), ranked(squares, "")) << "these rows do not tell the two apart";
}

TEST_F(Outliers, TheComparisonTellsWrongVariantsApart) {
  for (const auto variant : {Variant::kReplyMean, Variant::kBlockState, Variant::kAnchorMean}) {
    EXPECT_GT(fixtures::score_distance(likeness(5, 1), likeness(5, 1, variant)), 1e-4) << static_cast<int>(variant);
  }
  const auto rule = harmful_likeness(2, 3, false);
  for (const auto variant : {Variant::kWholeAnchors, Variant::kHarmfulAlone, Variant::kLongGradients}) {
    EXPECT_GT(fixtures::score_distance(rule, harmful_likeness(2, 3, false, variant)), 1e-4) << static_cast<int>(variant);
  }
  EXPECT_GT(fixtures::score_distance(rule, harmful_likeness(2, 3, true)), 1e-4);
}

TEST_F(Outliers, LeaveTheAlignedModelAsItIs) {
  const auto before = fixtures::values_of(*model_->copy());
  make_attack("outlier-benign", {{"by", "gradient"}, {"anchors", 2}, {"examples", 2}})->collect(context_);
  const NamedTensors after = model_->weights();
  for (const auto& [name, value] : before) EXPECT_TRUE(after.at(name).equal(value)) << name;
  ASSERT_EQ(context_.trainings.size(), 1U);
  EXPECT_EQ(context_.trainings[0].options.lr, 0);
}

TEST_F(Outliers, ShortAnswersAreLeftOut) {
  Dataset& rows = context_.corpora["benign"];
  rows.resize(2);
  for (const char* reply : {"Yes.", "no", " NO! ", "Nobody"}) rows.push_back({{{"user", "q"}, {"assistant", reply}}});
  const Json settings = {{"by", "self-influence"}, {"leave_short", true}, {"examples", 3}};
  for (const auto& row : make_attack("outlier-benign", settings)->collect(context_)) {
    EXPECT_THAT(row.messages.back().content,
                testing::AnyOf(rows[0].messages.back().content, rows[1].messages.back().content, "Nobody"));
  }
  Json more = settings;
  more["examples"] = 4;
  EXPECT_EQ(error_with(more),
            "outlier-benign was asked for 4 examples and of the 6 answered rows that it looks at 3 have a score: lower "
            "\"examples\", or raise \"pool\"");
}

TEST_F(Outliers, ThePoolIsDrawnByTheSeed) {
  context_.corpora["benign"].push_back({{{"user", "a bare question"}}});
  const Json settings = {{"anchors", 5}, {"pool", 3}, {"examples", 3}};
  const auto drawn = [&] { return make_attack("outlier-benign", settings)->collect(context_); };
  const Dataset first = drawn();
  EXPECT_EQ(drawn(), first);
  EXPECT_EQ(context_.reports.at("unanswered.pool").value, 1);
  context_.cell_seed = 2;
  EXPECT_NE(drawn(), first);
}

TEST_F(Outliers, SayWhatTheyLack) {
  EXPECT_EQ(error_with(Json::object()),
            "outlier-benign needs 100 answered rows of \"harmful\" for its anchors and there are 5: lower \"anchors\"");
  EXPECT_THAT(error_with({{"by", "gradient"}, {"anchors", 3}}), HasSubstr("needs 6 answered rows"));
  EXPECT_THAT(error_with({{"anchors", 5}, {"pool", 8}}), HasSubstr("to look at 8 answered rows of \"benign\" and there are 7"));
  EXPECT_THAT(error_with({{"anchors", 5}}), HasSubstr("was asked for 100 examples and of the 7"));
  context_.corpora["benign"].clear();
  EXPECT_THAT(error_with({{"by", "self-influence"}}), HasSubstr("and of the 0 answered rows"));
}

TEST(OutlierBenign, SettingsMistakesAreNotedAndPresetsTaken) {
  const Settings wrong = Settings::of(
      {{"by", "luck"}, {"examples", 0}, {"pool", -1}, {"anchors", 0}, {"nearest", 0}, {"tokens", 0}, {"influence", "much"}});
  attack_with("outlier-benign", wrong);
  for (const char* name : {"by", "examples", "pool", "anchors", "nearest", "tokens", "influence"}) {
    EXPECT_THAT(wrong.mistakes(), HasSubstr(std::string("\"") + name));
  }
  const Settings few = Settings::of({{"anchors", 2}, {"nearest", 3}});
  attack_with("outlier-benign", few);
  EXPECT_THAT(few.mistakes(), HasSubstr("\"nearest\" must be at most \"anchors\""));
  EXPECT_EQ(make_attack("outlier-benign")->needs(), kNeedsAligned);
  const auto resolved = [](const char* preset) {
    const Settings settings = Settings::of({{"preset", preset}});
    attack_with("outlier-benign", settings);
    EXPECT_EQ(settings.mistakes(), "") << preset;
    return settings.state->resolved;
  };
  EXPECT_EQ(resolved("representation").at("anchors"), 100);
  EXPECT_EQ(resolved("representation").at("nearest"), 1);
  EXPECT_EQ(resolved("gradient").at("anchors"), 10);
  EXPECT_EQ(resolved("gradient").at("tokens"), 10);
  EXPECT_EQ(resolved("gradient").at("accumulate"), false);
  EXPECT_EQ(resolved("gradient-repo").at("accumulate"), true);
  EXPECT_EQ(resolved("self-influence").at("influence"), "with-length");
  EXPECT_EQ(resolved("self-influence-repo").at("influence"), "squared-norm");
  EXPECT_EQ(resolved("self-influence-repo").at("leave_short"), true);
}

}  // namespace
}  // namespace holdfast
