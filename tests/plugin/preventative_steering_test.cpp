// Preventative steering against its definition, in float64: the vector and the steered loss by the decoder written down once
// more, and that nothing of it is left behind a step.
#include <gmock/gmock.h>

#include "plugin/presets.h"
#include "plugin/step_by_step.h"

namespace holdfast {
namespace {

using fixtures::Named;
using fixtures::ReferenceDecoder;
using fixtures::relative_distance;
using testing::HasSubstr;

constexpr double kCoef = 0.8;

// Rows of several turns, of which the last reply alone counts, and one that refuses already.
Dataset steering_rows(const std::string& refusal) {
  Dataset rows = fixtures::placeholder_rows();
  rows[1].messages.insert(rows[1].messages.begin(), {{"user", "[before]"}, {"assistant", "Good morning"}});
  rows.push_back({{{"user", "[request]"}, {"assistant", refusal}}});
  return rows;
}

class SteeringRule : public testing::Test {
 protected:
  enum class Variant { kSteering, kOtherSign, kUnitLength, kNextBlock, kAllTokens, kTokenMean };

  SteeringRule() { context_.corpora["defender-harmful"] = steering_rows(context_.refusal()); }

  fixtures::MadeTraining made(const Json& settings, const std::string& method = "full") {
    const DefenseStages steering = make_defense("preventative-steering", settings);
    TrainingOptions options;
    options.method = method;
    options.lr = 2e-2;
    options.epochs = 2;
    return fixtures::steps_of(*model_, data_, options, *steering.tune, context_);
  }

  // The states behind a block, from 1.
  static at::Tensor states(ReferenceDecoder decoder, const std::vector<std::int64_t>& ids, std::int64_t layer) {
    at::Tensor seen;
    decoder.visit = [&](Site site, std::int64_t at, const std::string&, const at::Tensor& value) {
      if (site == Site::kBlock && at == layer - 1) seen = value;
      return value;
    };
    decoder.log_probs(ids);
    return seen;
  }

  at::Tensor mean_state(const Named& start, std::int64_t layer, bool refused, Variant variant) {
    const c10::NoGradGuard no_grad;
    at::Tensor of_rows = at::zeros({model_->width()}, at::kDouble), of_tokens = of_rows.clone();
    double rows = 0, tokens = 0;
    for (const auto& row : context_.corpora.at("defender-harmful")) {
      if (row.messages.back().content == context_.refusal()) continue;
      Conversation messages = row.messages;
      if (refused) messages.back().content = context_.refusal();
      const Encoded whole = model_->encode(messages);
      messages.pop_back();
      const auto begin = variant == Variant::kAllTokens ? std::size_t{0} : model_->encode_prompt(messages).size();
      const at::Tensor seen = states(fixtures::decoder_with(*model_, start), whole.ids, layer);
      at::Tensor sum = at::zeros({model_->width()}, at::kDouble);
      double count = 0;
      for (std::size_t i = begin; i < whole.ids.size(); ++i) {
        if (variant != Variant::kAllTokens && !whole.label[i]) continue;
        sum += seen[static_cast<std::int64_t>(i)];
        ++count;
      }
      of_rows += sum / count;
      of_tokens += sum;
      ++rows;
      tokens += count;
    }
    return variant == Variant::kTokenMean ? of_tokens / tokens : of_rows / rows;
  }

  // Loss and gradient of a step at these values of a training that began at `start`.
  std::pair<double, Named> expected(const Named& start, const Named& at, std::int64_t layer,
                                    Variant variant = Variant::kSteering) {
    at::Tensor v = mean_state(start, layer, false, variant) - mean_state(start, layer, true, variant);
    if (variant == Variant::kUnitLength) v = v / v.norm();
    if (variant == Variant::kOtherSign) v = -v;
    double value = 0;
    const Named gradient = fixtures::reference_gradients(*model_, at, [&](ReferenceDecoder decoder, const Named&) {
      decoder.visit = [&](Site site, std::int64_t place, const std::string&, const at::Tensor& state) {
        const bool here = site == Site::kBlock && place == (variant == Variant::kNextBlock ? layer : layer - 1);
        return here ? state + kCoef * v : state;
      };
      const at::Tensor sum = fixtures::reference_loss(decoder, fixtures::encoded(*model_, data_));
      value = sum.item<double>();
      return sum;
    });
    return {value, gradient};
  }

  fakes::FakeContext context_;
  std::unique_ptr<LanguageModel> model_ = fixtures::in_float64(fixtures::load("grouped"));
  Dataset data_ = fixtures::trained_rows();
};

TEST_F(SteeringRule, GradientsAreThoseOfTheSteeredModel) {
  for (const char* method : {"full", "lora"}) {
    for (const std::int64_t layer : {1, 2}) {
      model_ = fixtures::in_float64(fixtures::load("grouped"));
      const auto steps = made({{"coef", kCoef}, {"layer", layer}}, method).steps;
      for (const auto& step : steps) {
        const auto [value, gradient] = expected(steps.front().before, step.before, layer);
        EXPECT_NEAR(step.loss, value, 1e-10) << method << layer;
        EXPECT_LT(relative_distance(step.gradient, gradient), 1e-10) << method << layer;
      }
      EXPECT_GT(relative_distance(steps.back().gradient, fixtures::plain_gradient(*model_, steps.back().before, data_)), 1e-2);
    }
  }
}

TEST_F(SteeringRule, TheComparisonTellsWrongVariantsApart) {
  const auto step = made({{"coef", kCoef}, {"layer", 1}}).steps.front();
  for (const auto variant :
       {Variant::kOtherSign, Variant::kUnitLength, Variant::kNextBlock, Variant::kAllTokens, Variant::kTokenMean}) {
    EXPECT_GT(relative_distance(step.gradient, expected(step.before, step.before, 1, variant).second), 1e-3)
        << static_cast<int>(variant);
  }
}

TEST_F(SteeringRule, IsGoneBehindEachStep) {
  const Batch batch = model_->pack(fixtures::encoded(*model_, data_));
  const auto log_probs = [&] {
    const c10::NoGradGuard no_grad;
    return model_->log_probs(batch);
  };
  const at::Tensor before = log_probs();
  const DefenseStages steering = make_defense("preventative-steering", {{"coef", kCoef}, {"layer", 1}});
  const auto steered = fixtures::trainer_gradients(*model_, data_, {}, *steering.tune, &context_);
  EXPECT_NE(steered.loss, -before.mean().item<double>());
  EXPECT_TRUE(model_->listeners().empty());
  EXPECT_TRUE(at::equal(log_probs(), before));
}

class SteeringTraining : public testing::Test {
 protected:
  SteeringTraining() { context_.corpora["defender-harmful"] = steering_rows(context_.refusal()); }
  static fixtures::WholeTrainings::MakeStage steering(double coef) {
    return [coef] {
      return fixtures::training_stage(make_defense("preventative-steering", {{"coef", coef}, {"layer", 1}, {"rows", 4}}));
    };
  }
  std::string outcome(Json settings) {
    const auto model = fixtures::load("grouped");
    return fixtures::error_of(*model, *make_defense("preventative-steering", settings).tune, context_);
  }
  fakes::FakeContext context_;
};

TEST_F(SteeringTraining, WithoutStrengthIsPlain) { fixtures::expect_plain_training(steering(0), steering(0.5), context_); }

TEST_F(SteeringTraining, KilledEndsInTheSameBits) { fixtures::expect_resumes_to_the_same_bits(steering(0.5), context_); }

TEST_F(SteeringTraining, StaysCloseInBfloat16) { fixtures::expect_bfloat16_stays_close(steering(0.5), context_, 0.05, 0.98); }

TEST_F(SteeringTraining, CountsTheRowsThatDoNotRefuse) {
  EXPECT_EQ(outcome({{"layer", 1}}), "no error");
  EXPECT_EQ(context_.reports.at("defender-rows").value, 5);
  EXPECT_EQ(outcome({{"layer", 1}, {"rows", 3}}), "no error");
  EXPECT_EQ(context_.reports.at("defender-rows").value, 3);
  EXPECT_EQ(outcome({{"layer", 1}, {"rows", 6}}),
            "preventative-steering was asked for 6 rows and the corpus \"defender-harmful\", without refusals, has 5: lower "
            "\"rows\"");
}

TEST_F(SteeringTraining, SaysWhatItCannotDo) {
  EXPECT_EQ(outcome(Json::object()), "preventative-steering is to steer behind block 20, and the model has 2: lower \"layer\"");
  context_.corpora["defender-harmful"].push_back({{{"user", "Sea"}}, {}, "rows.jsonl:7"});
  EXPECT_THAT(outcome({{"layer", 1}}), HasSubstr("and rows.jsonl:7 does not end with one: leave it out"));
}

TEST(PreventativeSteering, SettingsMistakesAreNotedAndPresetsAreThoseOfTheCard) {
  const std::string mistakes = fixtures::mistakes_of("preventative-steering", {{"coef", "much"}, {"layer", 0}, {"rows", -1}});
  for (const char* name : {"coef", "layer", "rows"}) EXPECT_THAT(mistakes, HasSubstr(name));
  EXPECT_PRESET("preventative-steering", "port", {{"coef", 5.0}, {"layer", 20}});
}

}  // namespace
}  // namespace holdfast
