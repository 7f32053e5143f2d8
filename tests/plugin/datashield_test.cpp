// DataShield against its definition, with the states of a decoder that is written down once more, a row at a time, in float64.
#include <gmock/gmock.h>

#include <cmath>

#include "plugin/screened_rows.h"

namespace holdfast {
namespace {

using testing::HasSubstr;

class DataShieldRule : public testing::Test {
 protected:
  enum class Variant { kDataShield, kNextLayer, kWithoutPrompt, kLastStates, kLongDirection, kOtherSign };

  DataShieldRule() {
    context_.corpora["defender-harmful"] = fixtures::placeholder_rows();
    context_.corpora["defender-harmful"].push_back({{{"user", "[refused]"}, {"assistant", context_.refusal()}}});
    context_.aligned = model_.get();
  }

  // Of each pair, complying first.
  std::vector<std::array<fixtures::ReferenceRow, 2>> pairs(std::int64_t layer) const {
    std::vector<std::array<fixtures::ReferenceRow, 2>> all;
    for (const auto& anchor : context_.corpora.at("defender-harmful")) {
      Conversation messages = anchor.messages;
      if (messages.back().content == context_.refusal()) continue;
      const auto complying = fixtures::reference_row(*model_, messages, layer);
      messages.back().content = context_.refusal();
      all.push_back({complying, fixtures::reference_row(*model_, messages, layer)});
    }
    return all;
  }

  std::vector<double> scores(std::int64_t layer, Variant variant = Variant::kDataShield) const {
    const std::int64_t at = variant == Variant::kNextLayer ? layer + 1 : layer;
    at::Tensor v = at::zeros({model_->width()}, at::kDouble);
    for (const auto& [complying, refusing] : pairs(at)) {
      v += variant == Variant::kLastStates ? complying.last - refusing.last : complying.reply - refusing.reply;
    }
    if (variant != Variant::kLongDirection) v = v / v.norm();
    if (variant == Variant::kOtherSign) v = -v;
    std::vector<double> all;
    for (const auto& row : rows_) {
      const auto own = fixtures::reference_row(*model_, row.messages, at);
      const double prompt = variant == Variant::kWithoutPrompt ? 0 : v.dot(own.prompt).item<double>();
      all.push_back(v.dot(own.reply).item<double>() - prompt);
    }
    return all;
  }

  // v'S_b v / v'(S_b + S_w) v with the scatter matrices written out.
  double separation(std::int64_t layer) const {
    std::vector<at::Tensor> states[2], scaled[2];
    for (const auto& pair : pairs(layer)) {
      for (const std::size_t side : {0, 1}) states[side].push_back(pair[side].last);
    }
    const double all = 2 * static_cast<double>(states[0].size());
    at::Tensor mean = at::zeros({model_->width()}, at::kDouble), variance = mean.clone(),
               means[2] = {mean.clone(), mean.clone()};
    for (const auto& side : states) {
      for (const auto& state : side) mean += state / all;
    }
    for (const auto& side : states) {
      for (const auto& state : side) variance += (state - mean).square() / all;
    }
    const at::Tensor scale = at::where(variance == 0, at::ones_like(variance), variance.sqrt());
    for (const std::size_t side : {0, 1}) {
      for (const auto& state : states[side]) {
        scaled[side].push_back((state - mean) / scale);
        means[side] += scaled[side].back() / (all / 2);
      }
    }
    const at::Tensor v = means[0] - means[1], middle = (means[0] + means[1]) / 2;
    at::Tensor between = at::zeros({model_->width(), model_->width()}, at::kDouble), within = between.clone();
    for (const std::size_t side : {0, 1}) {
      between += all / 2 * (means[side] - middle).outer(means[side] - middle);
      for (const auto& state : scaled[side]) within += (state - means[side]).outer(state - means[side]);
    }
    const double total = v.dot((between + within).mv(v)).item<double>();
    return total == 0 ? 0 : v.dot(between.mv(v)).item<double>() / total;
  }

  std::string error_with(const Json& settings) { return fixtures::error_with("datashield", settings, rows_, context_); }

  fakes::FakeContext context_;
  std::unique_ptr<LanguageModel> model_ = fixtures::in_float64(fixtures::load("grouped"));
  Dataset rows_ = fixtures::trained_rows();
};

TEST_F(DataShieldRule, ScoresAreThoseOfTheDefinition) {
  for (const std::int64_t layer : {0, 1, 2}) {
    fixtures::expect_scores("datashield", {{"layer", layer}}, rows_, context_, scores(layer));
  }
}

TEST_F(DataShieldRule, TheComparisonTellsWrongVariantsApart) {
  for (const auto variant :
       {Variant::kNextLayer, Variant::kWithoutPrompt, Variant::kLastStates, Variant::kLongDirection, Variant::kOtherSign}) {
    EXPECT_GT(fixtures::score_distance(scores(1), scores(1, variant)), 1e-4) << static_cast<int>(variant);
  }
}

TEST_F(DataShieldRule, TakesTheLayerThatSeparatesThePairsBest) {
  std::int64_t best = 0;
  for (const std::int64_t layer : {1, 2}) {
    if (separation(layer) > separation(best)) best = layer;
  }
  EXPECT_GT(best, 0);  // the last token is the same in every row, and so is its embedding
  EXPECT_GT(std::abs(separation(1) - separation(2)), 1e-6);
  fixtures::expect_scores("datashield", Json::object(), rows_, context_, scores(best));
  EXPECT_EQ(context_.reports.at("layer").value, static_cast<double>(best));
  EXPECT_EQ(context_.reports.at("layer").n, 3);
}

// Where states say nothing of what stands before them, the two kinds can differ in the replies alone.
TEST_F(DataShieldRule, FindsThePlantedLayer) {
  const auto planted = model_->copy();
  for (const auto& name : planted->linears(0)) planted->set_weight(name, at::zeros_like(planted->weights().at(name)));
  context_.aligned = planted.get();  // behind block 1 stands the embedding: the last states of all rows are one
  fixtures::screened("datashield", Json::object(), rows_, context_);
  EXPECT_EQ(context_.reports.at("layer").value, 2);
}

TEST_F(DataShieldRule, ARowWithoutAReplyScoresNothing) {
  const Dataset rows = {rows_[0], {{{"user", "a question alone"}}}};
  EXPECT_EQ(fixtures::screened("datashield", {{"layer", 1}, {"select", "threshold"}, {"threshold", -1e-12}}, rows, context_),
            scores(1)[0] > -1e-12 ? Dataset() : Dataset{rows[0]});
  EXPECT_EQ(fixtures::screened("datashield", {{"layer", 1}, {"select", "threshold"}, {"threshold", 1e6}}, rows, context_),
            rows);
  EXPECT_TRUE(fixtures::screened("datashield", Json::object(), {}, context_).empty());
}

TEST_F(DataShieldRule, TheDirectionIsMadeOfTheDefendersRows) {
  fixtures::screened("datashield", Json::object(), rows_, context_);
  EXPECT_EQ(context_.reports.at("defender-rows").value, 5);
  fixtures::screened("datashield", {{"rows", 2}}, rows_, context_);
  EXPECT_EQ(context_.reports.at("defender-rows").value, 2);
}

TEST_F(DataShieldRule, SaysWhatItCannotDo) {
  EXPECT_THAT(error_with({{"rows", 6}}), HasSubstr("datashield was asked for 6 rows"));
  EXPECT_EQ(
      error_with({{"layer", 3}}),
      "datashield is to read the states of layer 3, and the model has 0 (the embedding) to 2: lower \"layer\", or leave it "
      "out");
  EXPECT_THAT(error_with({{"select", "count"}}), HasSubstr("datashield is to drop 1000 rows and the customer submitted 7"));
  context_.finetune.max_length = 2;
  EXPECT_THAT(error_with(Json::object()),
              HasSubstr("finds no reply within the first 2 tokens of a row of \"defender-harmful\""));
  context_.corpora["defender-harmful"] = {{{{"user", "[refused]"}, {"assistant", context_.refusal()}}}};
  EXPECT_THAT(error_with(Json::object()), HasSubstr("\"defender-harmful\" has none that does not refuse"));
}

TEST(DataShield, SettingsMistakesAreNotedAndPresetsAreThoseOfTheCard) {
  EXPECT_EQ(shipped("datashield").stages, kStageScreen);
  EXPECT_EQ(make_defense("datashield").screen->needs(), kNeedsAligned);
  const std::string mistakes =
      fixtures::mistakes_of("datashield", {{"layer", -2}, {"rows", -1}, {"select", "best"}, {"count", -1}, {"share", 2}});
  for (const char* name : {"layer", "rows", "select", "count", "share"}) {
    EXPECT_THAT(mistakes, HasSubstr(std::string("\"") + name));
  }
  EXPECT_PRESET("datashield", "repo", {{"layer", 13}, {"select", "count"}, {"count", 1000}});
}

}  // namespace
}  // namespace holdfast
