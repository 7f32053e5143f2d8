// Preference for refusals (DPO) against its rule, in float64: sums of log-probabilities of a decoder written down once more.
#include <gmock/gmock.h>

#include <cmath>

#include "plugin/presets.h"
#include "plugin/reference_gradients.h"
#include "plugin/watched_training_context.h"

namespace holdfast {
namespace {

using fixtures::Named;
using fixtures::relative_distance;
using testing::HasSubstr;

class PreferenceOfADecoder : public testing::Test {
 protected:
  enum class Wrong { kNothing, kMeans, kSwapped, kWithoutReference, kLogRatio };

  PreferenceOfADecoder() {
    context_.corpora["defender-harmful"] = fixtures::placeholder_rows();
    context_.align.lr = 0;
    context_.align.batch_size = 5;
  }

  void retune(const Json& settings = Json::object()) {
    Json all = {{"method", "dpo"}};
    all.update(settings);
    make_defense("safety-retune", all).repair->repair(*model_, context_);
  }

  // Of the last turn's tokens.
  at::Tensor log_prob(const fixtures::ReferenceDecoder& decoder, const Conversation& row, Wrong wrong) const {
    const Encoded tokens = model_->encode(row);
    const at::Tensor log_probs = decoder.log_probs(tokens.ids);
    at::Tensor sum = at::zeros({}, at::kDouble);
    double count = 0;
    for (std::size_t i = 1; i < tokens.ids.size(); ++i) {
      if (!tokens.label[i]) continue;
      sum = sum + log_probs[static_cast<std::int64_t>(i) - 1][tokens.ids[i]];
      ++count;
    }
    return wrong == Wrong::kMeans ? sum / count : sum;
  }

  at::Tensor margin(const fixtures::ReferenceDecoder& decoder, const Example& row, Wrong wrong) const {
    Conversation refusal = row.messages;
    refusal.back() = {"assistant", context_.refusal()};
    const at::Tensor margin = log_prob(decoder, refusal, wrong) - log_prob(decoder, row.messages, wrong);
    return wrong == Wrong::kSwapped ? -margin : margin;
  }

  // Mean over the pairs of -log sigmoid(beta (margin - margin of the reference)).
  at::Tensor loss(const fixtures::ReferenceDecoder& decoder, double beta, Wrong wrong) const {
    const fixtures::ReferenceDecoder before(reference_->decoder());
    const Dataset& rows = context_.corpora.at("defender-harmful");
    at::Tensor sum = at::zeros({}, at::kDouble);
    for (const auto& row : rows) {
      const at::Tensor of_reference =
          wrong == Wrong::kWithoutReference ? at::zeros({}, at::kDouble) : margin(before, row, wrong);
      const at::Tensor x = beta * (margin(decoder, row, wrong) - of_reference);
      sum = sum + (wrong == Wrong::kLogRatio ? -x : (1 + (-x).exp()).log()) / static_cast<double>(rows.size());
    }
    return sum;
  }

  Named defined(double beta, Wrong wrong = Wrong::kNothing) {
    return fixtures::reference_gradients(*model_, fixtures::values_of(*model_),
                                         [&](const auto& decoder, const Named&) { return loss(decoder, beta, wrong); });
  }

  double defined_loss(double beta) const {
    const c10::NoGradGuard no_grad;
    return loss(fixtures::ReferenceDecoder(model_->decoder()), beta, Wrong::kNothing).item<double>();
  }

  fixtures::WatchedTrainingContext context_;
  std::unique_ptr<LanguageModel> model_ = fixtures::in_float64(fixtures::load("grouped"));
  std::unique_ptr<LanguageModel> reference_ = model_->copy();
};

// With pi the reference: log 2, and -(beta / 2) (grad log pi(refusal) - grad log pi(harmful reply)).
TEST_F(PreferenceOfADecoder, BeginsWithHalfOfTheDifference) {
  retune();
  EXPECT_NEAR(context_.losses.at(0), std::log(2), 1e-10);
  const Named half =
      fixtures::reference_gradients(*model_, fixtures::values_of(*model_), [&](const auto& decoder, const Named&) {
        at::Tensor sum = at::zeros({}, at::kDouble);
        for (const auto& row : context_.corpora.at("defender-harmful"))
          sum = sum - 0.1 / 2 * margin(decoder, row, Wrong::kNothing) / 5;
        return sum;
      });
  EXPECT_LT(relative_distance(context_.last.gradients, half), 1e-9);
}

TEST_F(PreferenceOfADecoder, AwayFromTheReferenceItIsTheRule) {
  context_.move_before = 0.05;
  for (const std::string method : {"full", "lora"}) {
    for (const auto& [beta, micro] : {std::pair{0.1, 0}, {0.5, 2}}) {
      model_ = reference_->copy();
      context_.align.method = method;
      context_.align.micro_batch_size = micro;
      context_.losses.clear();
      retune({{"beta", beta}});
      EXPECT_NEAR(context_.losses.at(0), defined_loss(beta), 1e-10) << method << " " << beta;
      EXPECT_LT(relative_distance(context_.last.gradients, defined(beta)), 1e-9) << method << " " << beta;
    }
  }
}

TEST_F(PreferenceOfADecoder, IsNoVariantOfIt) {
  context_.move_before = 0.05;
  retune({{"beta", 0.5}});
  for (const auto wrong : {Wrong::kMeans, Wrong::kSwapped, Wrong::kWithoutReference, Wrong::kLogRatio}) {
    EXPECT_GT(relative_distance(context_.last.gradients, defined(0.5, wrong)), 1e-3) << static_cast<int>(wrong);
  }
}

TEST_F(PreferenceOfADecoder, TheReferenceStaysTheTunedModel) {
  context_.align.lr = 1e-2;
  context_.align.epochs = 4;
  retune();
  ASSERT_EQ(context_.losses.size(), 4U);
  EXPECT_NEAR(context_.losses[0], std::log(2), 1e-10);
  EXPECT_LT(context_.losses[3], context_.losses[0] - 0.05);
}

TEST_F(PreferenceOfADecoder, TakesTheOptionsAndRowsThatItIsGiven) {
  retune({{"rows", 2}, {"lr", 0.25}, {"epochs", 2}, {"batch_size", 1}});
  EXPECT_EQ(context_.trained_rows.size(), 2U);
  for (const auto& row : context_.trained_rows) EXPECT_EQ(row.messages.back().content, context_.refusal());
  EXPECT_EQ(context_.reports.at("defender-rows").value, 2);
  EXPECT_EQ(context_.trained_options.lr, 0.25);
  EXPECT_EQ(context_.losses.size(), 4U);
}

TEST_F(PreferenceOfADecoder, SaysWhichRowShowsNothing) {
  context_.align.max_length = 3;
  try {
    retune();
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("within 3 tokens row 1 shows nothing of one"));
  }
}

std::shared_ptr<Params::State> resolved(const Json& values, const std::string& mistake = "") {
  const Settings settings = Settings::of(values);
  Params params(settings.state);
  shipped("safety-retune").make_defense(params);
  EXPECT_EQ(settings.mistakes().empty(), mistake.empty()) << settings.mistakes();
  EXPECT_THAT(settings.mistakes(), HasSubstr(mistake));
  return settings.state;
}

// What decides nothing is in no key, so that artifacts from before there was a choice still count.
TEST(SafetyRetune, LearningRowsKeepsItsKeys) {
  EXPECT_EQ(resolved(Json::object())->resolved, (Json{{"rows", 0}, {"epochs", 0}, {"lr", 0.0}, {"batch_size", 0}}));
  EXPECT_TRUE(resolved(Json::object())->corpora.empty());
  const Json dpo = resolved({{"method", "dpo"}})->resolved;
  EXPECT_EQ(dpo.at("method"), "dpo");
  EXPECT_EQ(dpo.at("beta"), 0.1);
  EXPECT_EQ(dpo.at("harmful"), "defender-harmful");
  EXPECT_EQ(shipped("safety-retune").revision, 2);
}

TEST(SafetyRetune, MistakesAreNoted) {
  resolved({{"method", "ppo"}}, "\"method\"");
  resolved({{"method", "dpo"}, {"beta", 0}}, "no pair has a gradient");
  resolved({{"harmful", "defender-harmful"}}, "set method = \"dpo\"");
  resolved({{"lr", -1}}, "\"lr\"");
}

TEST(SafetyRetune, PresetsAreThoseOfTheCard) {
  EXPECT_PRESET("safety-retune", "organism", {{"rows", 320}, {"epochs", 2}, {"batch_size", 16}, {"lr", 5e-4}});
  const auto nlsr = resolved({{"preset", "nlsr"}})->resolved, crl = resolved({{"preset", "crl"}})->resolved;
  EXPECT_EQ(nlsr.at("method"), "dpo");
  EXPECT_EQ(nlsr.at("lr"), 2e-6);
  EXPECT_EQ(nlsr.at("batch_size"), 8);
  EXPECT_EQ(crl.at("lr"), 5e-5);
  EXPECT_EQ(crl.at("batch_size"), 16);
}

}  // namespace
}  // namespace holdfast
