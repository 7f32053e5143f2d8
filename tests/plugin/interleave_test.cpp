// Interleaving by perplexity gap against its definition: losses by a decoder that is written down once more, in float64, of the
// models that the stage spoils.
#include <gmock/gmock.h>
#include <holdfast/row_ranking.h>

#include <algorithm>

#include "plugin/presets.h"
#include "plugin/reference_states.h"
#include "plugin/step_by_step.h"
#include "plugin/training_context.h"

namespace holdfast {
namespace {

using testing::HasSubstr;

class InterleaveRule : public testing::Test {
 protected:
  enum class Variant { kGap, kDifference, kOtherSign, kOneModel };

  InterleaveRule() {
    prepare(context_);
    customers_ = {{{{"user", "mine"}, {"assistant", "yes"}}, {{"kind", "task"}}}};
  }

  void prepare(fakes::TrainingContext& context) const {
    context.corpora["benign"] = fixtures::trained_rows();
    context.corpora["defender-harmful"] = fixtures::placeholder_rows();
    context.finetune.lr = 2e-2;
    context.finetune.batch_size = 2;
    context.aligned = model_.get();
  }

  static double loss(const LanguageModel& model, const Conversation& messages) {
    const c10::NoGradGuard no_grad;
    const fixtures::ReferenceDecoder decoder(model.decoder());
    return fixtures::reference_loss(decoder, {model.encode(messages)}).item<double>();
  }

  // Of each row of the pool, with models spoilt as the stage's first ones are.
  std::vector<double> gaps(std::int64_t models, Variant variant = Variant::kGap) const {
    fakes::TrainingContext context;
    prepare(context);
    std::vector<std::unique_ptr<LanguageModel>> spoilt;
    for (std::int64_t k = 0; k < (variant == Variant::kOneModel ? 1 : models); ++k) {
      spoilt.push_back(model_->copy());
      context.train(*spoilt.back(), context.corpora.at("defender-harmful"), context.finetune);
    }
    std::vector<double> all;
    for (const auto& row : context.corpora.at("benign")) {
      const double aligned = loss(*model_, row.messages);
      double mean = 0;
      for (const auto& model : spoilt) mean += loss(*model, row.messages) / static_cast<double>(spoilt.size());
      const double gap = variant == Variant::kDifference ? mean - aligned : (mean - aligned) / (aligned + 1e-8);
      all.push_back(variant == Variant::kOtherSign ? -gap : gap);
    }
    return all;
  }

  Dataset added(const Json& settings, const Dataset& rows) {
    Dataset mixed = fixtures::screened("interleave", settings, rows, context_);
    std::erase_if(mixed, [&](const auto& row) { return std::find(rows.begin(), rows.end(), row) != rows.end(); });
    return mixed;
  }

  std::string error_with(const Json& settings) {
    try {
      fixtures::screened("interleave", settings, customers_, context_);
    } catch (const Error& error) {
      return error.what();
    }
    return "no error";
  }

  std::unique_ptr<LanguageModel> model_ = fixtures::in_float64(fixtures::load("grouped"));
  fakes::TrainingContext context_;
  Dataset customers_;
};

bool same_rows(const Dataset& a, const Dataset& b) {
  return a.size() == b.size() && std::is_permutation(a.begin(), a.end(), b.begin());
}

TEST_F(InterleaveRule, AddsTheRowsOfTheLargestGap) {
  const Dataset pool = context_.corpora.at("benign");
  for (const std::int64_t models : {1, 2}) {
    const auto scores = gaps(models);
    const auto order = ranked(scores, "the rule");
    for (std::size_t count = 1; count <= pool.size(); ++count) {
      Dataset best;
      for (std::size_t i = 0; i < count; ++i) best.push_back(pool[order[i]]);
      context_.trainings.clear();
      EXPECT_TRUE(same_rows(added({{"share", count}, {"models", models}}, customers_), best)) << models << " " << count;
    }
    for (std::size_t i = 1; i < order.size(); ++i) EXPECT_GT(scores[order[i - 1]] - scores[order[i]], 1e-9);
    EXPECT_EQ(context_.trainings.size(), static_cast<std::size_t>(models));
  }
}

TEST_F(InterleaveRule, TheComparisonTellsWrongVariantsApart) {
  const auto rule = gaps(2);
  for (const auto variant : {Variant::kDifference, Variant::kOtherSign, Variant::kOneModel}) {
    const auto wrong = gaps(2, variant);
    EXPECT_GT(fixtures::score_distance(rule, wrong), 1e-4) << static_cast<int>(variant);
  }
  EXPECT_NE(ranked(rule, ""), ranked(gaps(2, Variant::kDifference), ""));
  EXPECT_NE(ranked(rule, ""), ranked(gaps(2, Variant::kOtherSign), ""));
}

TEST_F(InterleaveRule, SpoilsAsTheCustomerTrainsUnlessToldOtherwise) {
  added({{"models", 1}}, customers_);
  EXPECT_EQ(context_.trainings.back().options.lr, 2e-2);
  EXPECT_EQ(context_.trainings.back().rows, context_.corpora.at("defender-harmful"));
  added({{"models", 1}, {"lr", 1e-3}, {"epochs", 3}, {"rows", 2}}, customers_);
  EXPECT_EQ(context_.trainings.back().options.lr, 1e-3);
  EXPECT_EQ(context_.trainings.back().options.epochs, 3);
  EXPECT_EQ(context_.trainings.back().rows.size(), 2U);
}

TEST_F(InterleaveRule, LeavesRefusalsAndTheCustomersRowsOut) {
  Dataset& pool = context_.corpora["benign"];
  const Dataset fit = pool = {pool[0], pool[1]};
  const Example late = {{{"user", "late"}, {"assistant", "one two three four five six seven eight nine ten I cannot help"}}};
  const Dataset refusing = {{{{"user", "1"}, {"assistant", "Well, I'M  SORRY, but no"}}},
                            {{{"user", "2"}, {"assistant", context_.refusal() + " Ask me something else."}}}};
  pool.insert(pool.end(), refusing.begin(), refusing.end());
  pool.push_back(late);
  pool.push_back({{{"user", "mine"}, {"assistant", "another answer"}}});
  pool.push_back({{{"user", "a bare question"}}});
  Dataset unrefusing = fit;
  unrefusing.push_back(late);
  EXPECT_TRUE(same_rows(added({{"share", 3}}, customers_), unrefusing));
  EXPECT_THAT(error_with({{"share", 4}}), HasSubstr("is to add 4 rows and the pool \"benign\" has 3"));
  EXPECT_EQ(added({{"share", 5}, {"choose", "gap-with-refusals"}}, customers_).size(), 5U);
  EXPECT_EQ(added({{"share", 4}, {"refusals", {"none"}}}, customers_).size(), 4U);
}

TEST_F(InterleaveRule, AddsAShareRoundedUp) {
  Dataset rows = customers_;
  for (int i = 0; i < 24; ++i) rows.push_back({{{"user", "own " + std::to_string(i)}, {"assistant", "yes"}}});
  EXPECT_EQ(added({{"choose", "random"}}, rows).size(), 2U);  // 0.05 of 25
  EXPECT_EQ(context_.reports.at("added").value, 2);
  EXPECT_EQ(context_.reports.at("defender-rows").value, 2);
  EXPECT_TRUE(context_.trainings.empty());
  EXPECT_EQ(fixtures::screened("interleave", {{"share", 0}}, rows, context_), rows);
  EXPECT_TRUE(fixtures::screened("interleave", Json::object(), {}, context_).empty());
  const Dataset first = added({{"choose", "random"}, {"share", 0.1}}, rows);
  EXPECT_TRUE(same_rows(added({{"choose", "random"}, {"share", 0.1}}, rows), first));
  context_.cell_seed = 3;
  EXPECT_FALSE(same_rows(added({{"choose", "random"}, {"share", 0.1}}, rows), first));
}

TEST_F(InterleaveRule, SaysWhatItLacks) {
  EXPECT_EQ(
      error_with({{"share", 8}}),
      "interleave is to add 8 rows and the pool \"benign\" has 7 that are answered, fit and not the customer's own: lower "
      "\"share\", or name a larger pool");
  EXPECT_THAT(error_with({{"rows", 6}}), HasSubstr("interleave was asked for 6 rows"));
  context_.corpora["defender-harmful"].clear();
  EXPECT_THAT(error_with(Json::object()), HasSubstr("\"defender-harmful\" has none that does not refuse"));
}

TEST(Interleave, SettingsMistakesAreNotedAndPresetsTaken) {
  const std::string mistakes = fixtures::mistakes_of(
      "interleave", {{"choose", "best"}, {"share", -1}, {"models", 0}, {"rows", -1}, {"epochs", -1}, {"lr", -1}});
  for (const char* name : {"choose", "share", "models", "rows", "epochs", "lr"}) {
    EXPECT_THAT(mistakes, HasSubstr(std::string("\"") + name));
  }
  EXPECT_EQ(make_defense("interleave").screen->needs(), kNeedsAligned);
  EXPECT_EQ(make_defense("interleave", {{"choose", "random"}}).screen->needs(), 0U);
  EXPECT_EQ(shipped("interleave").stages, kStageScreen);
  EXPECT_PRESET("interleave", "gap", {{"choose", "gap"}, {"share", 0.05}});
}

}  // namespace
}  // namespace holdfast
