// States of whole rows against a second decoder, and what is done with the scores made of them.
#include <gmock/gmock.h>
#include <holdfast/row_ranking.h>
#include <holdfast/row_states.h>

#include "base/message_of.h"
#include "plugin/reference_states.h"

namespace holdfast {
namespace {

using fixtures::distance;
using testing::ElementsAre;
using testing::HasSubstr;

class RowStatesOfADecoder : public testing::Test {
 protected:
  std::unique_ptr<LanguageModel> model_ = fixtures::in_float64(fixtures::load("grouped"));
  Dataset rows_ = fixtures::placeholder_rows();
};

TEST_F(RowStatesOfADecoder, AreThoseOfEachRowByItself) {
  rows_[1].messages.insert(rows_[1].messages.begin(), {{"user", "[before]"}, {"assistant", "Good morning"}});
  rows_[2].messages.back().learned = false;  // states are not a matter of what is learned
  rows_[3].messages.back().learn_from = 3;
  Dataset plain = rows_;
  for (auto& row : plain) row.messages.back() = {"assistant", row.messages.back().content};
  const std::vector<std::int64_t> layers = {2, kFinalNorm, 0, 1};
  const auto states = row_states(*model_, rows_, layers, 0);
  ASSERT_EQ(states.size(), layers.size());
  for (std::size_t l = 0; l < layers.size(); ++l) {
    for (std::size_t i = 0; i < rows_.size(); ++i) {
      const auto expected = fixtures::reference_row(*model_, plain[i].messages, layers[l]);
      const auto row = static_cast<std::int64_t>(i);
      EXPECT_LT(distance(states[l].last[row], expected.last), 1e-12) << layers[l] << " " << i;
      EXPECT_LT(distance(states[l].prompt[row], expected.prompt), 1e-12) << layers[l] << " " << i;
      EXPECT_LT(distance(states[l].reply[row], expected.reply), 1e-12) << layers[l] << " " << i;
      EXPECT_TRUE(states[l].answered[i]);
    }
  }
}

TEST_F(RowStatesOfADecoder, GoOverManyForwards) {
  const std::size_t all = 400;  // more tokens than go into one
  Dataset many;
  for (std::size_t i = 0; i < all; ++i) many.push_back(rows_[i % rows_.size()]);
  const auto few = row_states(*model_, rows_, {1}, 0).front(), states = row_states(*model_, many, {1}, 0).front();
  for (std::int64_t i = 0; i < static_cast<std::int64_t>(all); ++i) {
    EXPECT_LT(distance(states.last[i], few.last[i % 5]), 1e-12);
    EXPECT_LT(distance(states.reply[i], few.reply[i % 5]), 1e-12);
  }
}

TEST_F(RowStatesOfADecoder, SayWhereThereIsNoReply) {
  rows_.push_back({{{"user", "a question alone"}}});
  const auto whole = row_states(*model_, rows_, {1}, 0).front();
  EXPECT_THAT(whole.answered, ElementsAre(true, true, true, true, true, false));
  EXPECT_EQ(whole.reply[5].abs().sum().item<double>(), 0);
  EXPECT_EQ(whole.prompt[5].abs().sum().item<double>(), 0);
  const std::int64_t prompt = static_cast<std::int64_t>(model_->encode_prompt({rows_[0].messages[0]}).size());
  const auto cut = row_states(*model_, {rows_[0]}, {1}, prompt).front();
  EXPECT_THAT(cut.answered, ElementsAre(false));
  const auto ids = model_->encode(rows_[0].messages, prompt).ids;
  EXPECT_LT(distance(cut.last[0], fixtures::reference_states(*model_, ids, 1)[-1]), 1e-12);
  EXPECT_TRUE(row_states(*model_, {}, {1}, 0).front().answered.empty());
}

TEST_F(RowStatesOfADecoder, AreWideInSixteenBits) {
  const auto rounded = load_model(fixtures::checkpoint("grouped").string(), {"cpu", "bfloat16"});
  const auto states = row_states(*rounded, rows_, {2}, 0).front(), exact = row_states(*model_, rows_, {2}, 0).front();
  EXPECT_EQ(states.reply.scalar_type(), at::kFloat);
  EXPECT_GT(fixtures::reference_cosine(states.reply[0].to(at::kDouble), exact.reply[0]), 0.999);
}

std::int64_t chosen(const Json& settings, const Model& model) {
  const Settings given = Settings::of(settings);
  Params params(given.state);
  const LayerChoice layer(params, "the-screen", 0.4);
  EXPECT_EQ(given.mistakes(), "");
  return layer.of(model);
}

TEST_F(RowStatesOfADecoder, TheLayerIsGivenOrAShareOfTheBlocks) {
  EXPECT_EQ(chosen(Json::object(), *model_), 1);  // 0.4 of 2
  EXPECT_EQ(chosen({{"depth", 0}}, *model_), 0);
  EXPECT_EQ(chosen({{"depth", 1}}, *model_), 2);
  EXPECT_EQ(chosen({{"layer", 2}, {"depth", 0}}, *model_), 2);
  EXPECT_EQ(chosen({{"layer", 0}}, *model_), 0);
  EXPECT_EQ(message_of([&] {
              chosen({{"layer", 3}}, *model_);
            }),
            "the-screen is to read the states of layer 3, and the model has 0 (the embedding) to 2: lower \"layer\", or leave "
            "it out and set \"depth\"");
}

std::string kept(const Json& settings, const std::vector<double>& scores) {
  const Settings given = Settings::of(settings);
  Params params(given.state);
  const TopRows top(params, "the-screen", 0.25);
  EXPECT_EQ(given.mistakes(), "");
  Dataset rows;
  for (std::size_t i = 0; i < scores.size(); ++i) rows.push_back({{{"user", std::to_string(i)}}});
  fakes::FakeContext context;
  std::string names;
  for (const auto& row : top.dropped(rows, scores, context)) names += row.messages[0].content;
  EXPECT_EQ(context.reports.at("dropped").value, static_cast<double>(scores.size() - names.size()));
  EXPECT_EQ(context.reports.at("dropped").n, static_cast<std::int64_t>(scores.size()));
  return names;
}

TEST(TopRows, DropsTheHighestScores) {
  const std::vector<double> scores = {0.5, -1, 2, 0.5, 0};
  EXPECT_EQ(kept(Json::object(), scores), "0134");  // a quarter of 5
  EXPECT_EQ(kept({{"share", 0.5}}, scores), "14");
  EXPECT_EQ(kept({{"share", 0}}, scores), "01234");
  EXPECT_EQ(kept({{"share", 1}}, scores), "");
  EXPECT_EQ(kept({{"select", "count"}, {"count", 2}}, scores), "134");  // of equal ones the first
  EXPECT_EQ(kept({{"select", "count"}, {"count", 5}}, scores), "");
  EXPECT_EQ(kept({{"select", "threshold"}}, scores), "14");
  EXPECT_EQ(kept({{"select", "threshold"}, {"threshold", 0.5}}, scores), "0134");
  EXPECT_EQ(kept({{"select", "threshold"}}, {}), "");
}

TEST(TopRows, RefusesWhatItCannotRank) {
  EXPECT_EQ(message_of([&] {
              kept({{"select", "count"}}, {1, 2});
            }),
            "the-screen is to drop 1000 rows and the customer submitted 2: lower \"count\", or set select = \"share\"");
  EXPECT_THAT(message_of([&] { kept(Json::object(), {1, std::nan("")}); }), HasSubstr("finds a score of nan for row 2"));
  EXPECT_THAT(ranked({1, 3, 1, 2}, "x"), ElementsAre(1, 3, 0, 2));
}

}  // namespace
}  // namespace holdfast
