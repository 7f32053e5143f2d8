// SBR against its definition, in float64: the plain loss plus a mean squared distance of states behind the final norm, of the
// decoder written down once more, along a training whose first step begins where it is zero.
#include <gmock/gmock.h>

#include "plugin/presets.h"
#include "plugin/step_by_step.h"

namespace holdfast {
namespace {

using fixtures::Named;
using fixtures::ReferenceDecoder;
using fixtures::relative_distance;
using testing::HasSubstr;

class SbrRule : public testing::Test {
 protected:
  static constexpr double kWeight = 7;
  enum class Variant { kSbr, kSum, kAllTokens, kBeforeTheNorm, kWithTheReply, kFromZero };

  SbrRule() { context_.corpora["defender-harmful"] = fixtures::placeholder_rows(); }

  fixtures::MadeTraining made(const Json& settings, const std::string& method = "full") {
    const DefenseStages sbr = make_defense("sbr", settings);
    TrainingOptions options;
    options.method = method;
    options.lr = 2e-2;
    options.epochs = 3;
    return fixtures::steps_of(*model_, data_, options, *sbr.tune, context_);
  }

  // Of one anchor: (1, C), or (T, C) of all its tokens.
  at::Tensor state(ReferenceDecoder decoder, const Named& values, const Example& row, Variant variant) {
    Conversation prompt = row.messages;
    if (variant != Variant::kWithTheReply) prompt.pop_back();
    const auto ids = variant == Variant::kWithTheReply ? model_->encode(prompt).ids : model_->encode_prompt(prompt);
    at::Tensor last;
    decoder.visit = [&](Site site, std::int64_t layer, const std::string&, const at::Tensor& value) {
      if (site == Site::kBlock && layer == model_->layers() - 1) last = value;
      return value;
    };
    decoder.log_probs(ids);
    if (variant != Variant::kBeforeTheNorm) {
      const auto given = values.find("model.norm.weight");
      const at::Tensor weight = given != values.end() ? given->second : model_->weights().at("model.norm.weight");
      last = last / (last.square().mean(1, true) + model_->decoder().config().norm_eps).sqrt() * weight;
    }
    return variant == Variant::kAllTokens ? last : last.narrow(0, last.size(0) - 1, 1);
  }

  // Loss and gradient of a step at these values of a training that began at `start`.
  std::pair<double, Named> expected(const Named& start, const Named& at, Variant variant = Variant::kSbr) {
    double value = 0;
    const Named gradient = fixtures::reference_gradients(*model_, at, [&](const ReferenceDecoder& decoder, const Named& w) {
      at::Tensor squares = at::zeros({}, at::kDouble);
      double count = 0;
      for (const auto& row : context_.corpora.at("defender-harmful")) {
        const at::Tensor now = state(decoder, w, row, variant);
        const at::Tensor before = state(fixtures::decoder_with(*model_, start), start, row, variant).detach();
        squares = squares + (variant == Variant::kFromZero ? now : now - before).square().sum();
        count += static_cast<double>(now.numel());
      }
      const at::Tensor sum = fixtures::reference_loss(decoder, fixtures::encoded(*model_, data_)) +
                             kWeight * squares / (variant == Variant::kSum ? 1 : count);
      value = sum.item<double>();
      return sum;
    });
    return {value, gradient};
  }

  fakes::FakeContext context_;
  std::unique_ptr<LanguageModel> model_ = fixtures::in_float64(fixtures::load("grouped"));
  Dataset data_ = fixtures::trained_rows();
};

TEST_F(SbrRule, GradientsAreThoseOfTheDefinition) {
  for (const char* method : {"full", "lora"}) {
    model_ = fixtures::in_float64(fixtures::load("grouped"));
    const auto steps = made({{"weight", kWeight}, {"rows", 0}}, method).steps;
    ASSERT_EQ(steps.size(), 3U);
    for (const auto& step : steps) {
      const auto [value, gradient] = expected(steps.front().before, step.before);
      EXPECT_NEAR(step.loss, value, 1e-9) << method;
      EXPECT_LT(relative_distance(step.gradient, gradient), 1e-10) << method;
    }
    EXPECT_LT(relative_distance(steps.front().gradient, fixtures::plain_gradient(*model_, steps.front().before, data_)), 1e-11);
    EXPECT_GT(relative_distance(steps.back().gradient, fixtures::plain_gradient(*model_, steps.back().before, data_)), 1e-2);
  }
}

TEST_F(SbrRule, TheComparisonTellsWrongVariantsApart) {
  const auto steps = made({{"weight", kWeight}, {"rows", 0}}).steps;
  for (const auto variant :
       {Variant::kSum, Variant::kAllTokens, Variant::kBeforeTheNorm, Variant::kWithTheReply, Variant::kFromZero}) {
    EXPECT_GT(relative_distance(steps.back().gradient, expected(steps.front().before, steps.back().before, variant).second),
              1e-2)
        << static_cast<int>(variant);
  }
}

TEST_F(SbrRule, AHeavyWeightKeepsTheStates) {
  const auto drift = [&](double weight) {
    model_ = fixtures::in_float64(fixtures::load("grouped"));
    const Named start = fixtures::values_of(*model_);
    made({{"weight", weight}, {"rows", 0}});
    const Named now = fixtures::values_of(*model_);
    double squares = 0;
    for (const auto& row : context_.corpora.at("defender-harmful")) {
      const c10::NoGradGuard no_grad;
      squares += (state(fixtures::decoder_with(*model_, now), now, row, Variant::kSbr) -
                  state(fixtures::decoder_with(*model_, start), start, row, Variant::kSbr))
                     .square()
                     .sum()
                     .item<double>();
    }
    return squares;
  };
  EXPECT_LT(drift(1e4), 0.8 * drift(0));
}

class SbrTraining : public testing::Test {
 protected:
  SbrTraining() { context_.corpora["defender-harmful"] = fixtures::placeholder_rows(); }
  static fixtures::WholeTrainings::MakeStage sbr(Json settings) {
    settings["rows"] = 4;
    return [settings] { return fixtures::training_stage(make_defense("sbr", settings)); };
  }
  std::string outcome(const Json& settings) {
    const auto model = fixtures::load("grouped");
    return fixtures::error_of(*model, *make_defense("sbr", settings).tune, context_);
  }
  fakes::FakeContext context_;
};

TEST_F(SbrTraining, WithoutWeightIsPlain) {
  fixtures::expect_plain_training(sbr({{"weight", 0}}), sbr(Json::object()), context_);
}

TEST_F(SbrTraining, KilledEndsInTheSameBits) { fixtures::expect_resumes_to_the_same_bits(sbr(Json::object()), context_); }

TEST_F(SbrTraining, StaysCloseInBfloat16) { fixtures::expect_bfloat16_stays_close(sbr({{"weight", 1}}), context_, 0.05, 0.98); }

TEST_F(SbrTraining, CountsItsAnchors) {
  EXPECT_EQ(outcome({{"rows", 2}}), "no error");
  EXPECT_EQ(context_.reports.at("defender-rows").value, 2);
  EXPECT_EQ(outcome(Json::object()), "sbr was asked for 8 rows and the corpus \"defender-harmful\" has 5: lower \"rows\"");
  context_.corpora["defender-harmful"].push_back({{{"system", "Be brief"}}, {}, "rows.jsonl:6"});
  EXPECT_THAT(outcome({{"rows", 0}}), HasSubstr("and rows.jsonl:6 has no user turn: leave it out"));
}

TEST(Sbr, SettingsMistakesAreNotedAndPresetsAreThoseOfTheCard) {
  const std::string mistakes = fixtures::mistakes_of("sbr", {{"weight", -1}, {"rows", "all"}});
  for (const char* name : {"weight", "rows"}) EXPECT_THAT(mistakes, HasSubstr(name));
  EXPECT_PRESET("sbr", "repo", {{"weight", 50.0}, {"rows", 8}});
}

}  // namespace
}  // namespace holdfast
