// Booster against its rule, in float64, on a decoder in the training loop: gradients of the decoder written down once more at w
// and at w', its surrogate by finite differences, and the closed form for a short step.
#include <gmock/gmock.h>
#include <holdfast/error.h>

#include "fakes/context.h"
#include "learn/gradient_check.h"
#include "plugin/presets.h"
#include "plugin/whole_trainings.h"

namespace holdfast {
namespace {

using fakes::FakeContext;
using fixtures::length_of;
using fixtures::Named;
using fixtures::plus;
using fixtures::relative_distance;

class BoosterRule : public testing::Test {
 protected:
  static constexpr double kAlpha = 0.4, kLambda = 3;
  enum class Variant { kBooster, kUphill, kWithoutNorm, kNormPerTensor, kOtherSign };

  BoosterRule() {
    context_.corpora["defender-harmful"] = fixtures::placeholder_rows();
    context_.corpora["defender-harmful"].resize(3);  // one batch of them, whatever their order
  }

  // What a step over all rows hands to the optimizer.
  fixtures::TrainerGradients made(const Json& settings, std::int64_t micro_batch_size = 0, const std::string& method = "full") {
    const DefenseStages booster = make_defense("booster", settings);
    TrainingOptions options;
    options.method = method;
    options.micro_batch_size = micro_batch_size;
    return fixtures::trainer_gradients(*model_, data_, options, *booster.align, &context_);
  }

  Named gradient(const Named& at, const Dataset& rows) {
    return fixtures::reference_gradients(*model_, at, [&](const fixtures::ReferenceDecoder& decoder, const Named&) {
      return fixtures::reference_loss(decoder, fixtures::encoded(*model_, rows));
    });
  }
  double loss(const Named& at, const Dataset& rows) {
    const c10::NoGradGuard no_grad;
    return fixtures::reference_loss(fixtures::decoder_with(*model_, at), fixtures::encoded(*model_, rows)).item<double>();
  }
  const Dataset& harmful() { return context_.corpora.at("defender-harmful"); }

  // w' - w
  Named harmful_step(const Named& s, double alpha, Variant variant = Variant::kBooster) {
    Named step;
    for (const auto& [name, tensor] : s) {
      const double length = variant == Variant::kWithoutNorm     ? 1
                            : variant == Variant::kNormPerTensor ? tensor.norm().item<double>() + 1e-7
                                                                 : length_of(s) + 1e-7;
      step[name] = tensor * ((variant == Variant::kUphill ? alpha : -alpha) / length);
    }
    return step;
  }

  // grad f(w) + lambda (grad h(w) - grad h(w')), from the card.
  Named expected(double alpha, double lambda, Variant variant = Variant::kBooster) {
    const Named w = fixtures::values_of(*model_), s = gradient(w, harmful());
    const Named q = gradient(plus(w, 1, harmful_step(s, alpha, variant)), harmful());
    return plus(gradient(w, data_), variant == Variant::kOtherSign ? -lambda : lambda, plus(s, -1, q));
  }

  FakeContext context_;
  std::unique_ptr<LanguageModel> model_ = fixtures::in_float64(fixtures::load("grouped"));
  Dataset data_ = fixtures::trained_rows();
};

TEST_F(BoosterRule, GradientsAreThoseOfTheRule) {
  for (const double alpha : {0.1, kAlpha}) {
    EXPECT_LT(relative_distance(made({{"alpha", alpha}, {"lambda", kLambda}}).gradients, expected(alpha, kLambda)), 1e-11);
  }
}

TEST_F(BoosterRule, TheComparisonTellsWrongVariantsApart) {
  const Named gradients = made({{"alpha", kAlpha}, {"lambda", kLambda}}).gradients;
  for (const auto variant : {Variant::kUphill, Variant::kWithoutNorm, Variant::kNormPerTensor, Variant::kOtherSign}) {
    EXPECT_GT(relative_distance(gradients, expected(kAlpha, kLambda, variant)), 1e-2) << static_cast<int>(variant);
  }
}

// f(w) + lambda (h(w) - h(w + d)) with the step d held fixed, whose value the loop does not log: it logs f.
TEST_F(BoosterRule, DescendsItsSurrogate) {
  for (const char* method : {"full", "lora"}) {
    const auto step = made({{"alpha", kAlpha}, {"lambda", kLambda}}, 0, method);
    const Named w = fixtures::values_of(*model_), fixed = harmful_step(gradient(w, harmful()), kAlpha);
    const auto surrogate = [&] {
      const Named here = fixtures::values_of(*model_);
      return loss(here, data_) + kLambda * (loss(here, harmful()) - loss(plus(here, 1, fixed), harmful()));
    };
    EXPECT_NEAR(step.loss, loss(w, data_), 1e-10);
    fixtures::expect_gradients_of({"booster", model_->trainable(), surrogate, step.gradients});
  }
}

// As alpha goes to zero the extra gradient becomes lambda alpha H s / |s|, H the Hessian of h: here by central differences of
// h's gradient along s.
TEST_F(BoosterRule, AShortStepGivesTheHessianAlongTheHarmfulGradient) {
  constexpr double kShort = 1e-4, kStep = 1e-4;
  const Named w = fixtures::values_of(*model_), s = gradient(w, harmful());
  const Named ahead = gradient(plus(w, kStep / length_of(s), s), harmful());
  const Named behind = gradient(plus(w, -kStep / length_of(s), s), harmful());
  const Named curvature = plus(ahead, -1, behind);  // 2 kStep H s / |s|
  const Named extra = plus(made({{"alpha", kShort}, {"lambda", kLambda}}).gradients, -1, gradient(w, data_));
  const Named closed = plus(curvature, kLambda * kShort / (2 * kStep) - 1, curvature);
  EXPECT_LT(relative_distance(extra, closed), 2e-3);
}

TEST_F(BoosterRule, TheStepIsThatOfTheWholeOptimizerBatch) {
  const Json settings = {{"alpha", kAlpha}, {"lambda", kLambda}};
  const auto whole = made(settings), parts = made(settings, 2);
  EXPECT_LT(relative_distance(parts.gradients, whole.gradients), 1e-11);
  EXPECT_NEAR(parts.loss, whole.loss, 1e-11);
}

TEST_F(BoosterRule, WithoutAStepOrAWeightItIsPlainAlignment) {
  const auto plain = fixtures::trainer_gradients(*model_, data_, {});
  const Named start = fixtures::values_of(*model_);
  for (const Json& settings : {Json{{"alpha", 0}}, Json{{"lambda", 0}}}) {
    const auto step = made(settings);
    EXPECT_EQ(step.loss, plain.loss);
    for (const auto& [name, gradient] : plain.gradients) EXPECT_TRUE(at::equal(step.gradients.at(name), gradient)) << name;
  }
  for (const auto& [name, value] : fixtures::values_of(*model_)) EXPECT_TRUE(at::equal(value, start.at(name))) << name;
}

// In the stack (vaccine, booster) the gradient on the alignment rows is Vaccine's, those on harmful rows are plain.
TEST_F(BoosterRule, ComposesWithVaccine) {
  const DefenseStages vaccine = make_defense("vaccine", {{"rho", 0.7}});
  const DefenseStages booster = make_defense("booster", {{"alpha", kAlpha}, {"lambda", kLambda}});
  const auto perturbed = fixtures::trainer_gradients(*model_, data_, {}, *vaccine.align);
  fixtures::TrainerGradients both;
  fixtures::Watched outer(*booster.align, both);
  TrainingOptions options;
  options.lr = 0;
  options.shuffle = false;
  options.batch_size = static_cast<std::int64_t>(data_.size());
  TrainingRun run;
  run.members = {{"vaccine", vaccine.align}, {"booster", &outer}};
  run.context = &context_;
  train(*model_, data_, options, run);
  const Named plain = gradient(fixtures::values_of(*model_), data_);
  const Named wanted = plus(plus(expected(kAlpha, kLambda), -1, plain), 1, perturbed.gradients);
  EXPECT_LT(relative_distance(both.gradients, wanted), 1e-11);
  EXPECT_GT(relative_distance(both.gradients, expected(kAlpha, kLambda)), 1e-2);
}

class BoosterRows : public testing::Test {
 protected:
  BoosterRows() { context_.corpora["defender-harmful"] = fixtures::placeholder_rows(); }
  std::string outcome(const Json& settings) {
    const DefenseStages booster = make_defense("booster", settings);
    try {
      fixtures::trainer_gradients(*model_, fixtures::trained_rows(), {}, *booster.align, &context_);
      return "no error";
    } catch (const Error& error) {
      return error.what();
    }
  }

  FakeContext context_;
  std::unique_ptr<LanguageModel> model_ = fixtures::load("grouped");
};

TEST_F(BoosterRows, AreReported) {
  EXPECT_EQ(outcome(Json::object()), "no error");
  EXPECT_EQ(context_.reports.at("defender-rows").value, 5);
  EXPECT_EQ(outcome({{"rows", 2}}), "no error");
  EXPECT_EQ(context_.reports.at("defender-rows").value, 2);
  EXPECT_EQ(context_.reports.at("defender-rows").n, 2);
}

TEST_F(BoosterRows, AreThoseOfTheCorpusThatIsNamed) {
  context_.corpora["held"] = fixtures::placeholder_rows();
  context_.corpora["held"].resize(4);
  EXPECT_EQ(outcome({{"harmful", "held"}}), "no error");
  EXPECT_EQ(context_.reports.at("defender-rows").value, 4);
}

TEST_F(BoosterRows, MoreThanThereAreIsAnError) {
  EXPECT_EQ(outcome({{"rows", 6}}), "booster was asked for 6 rows and the corpus \"defender-harmful\" has 5: lower \"rows\"");
}

TEST(Booster, SettingsAreThePapersAndLengthsAreNotNegative) {
  const Settings defaults;
  Params params(defaults.state);
  const DefenseStages booster = shipped("booster").make_defense(params);
  EXPECT_EQ(defaults.state->resolved.at("alpha"), 0.1);
  EXPECT_EQ(defaults.state->resolved.at("lambda"), 5.0);
  EXPECT_NE(booster.align, nullptr);
  EXPECT_EQ(booster.tune, nullptr);
  const Settings wrong = Settings::of({{"alpha", -1}, {"lambda", "much"}});
  Params given(wrong.state);
  shipped("booster").make_defense(given);
  EXPECT_THAT(wrong.mistakes(), testing::AllOf(testing::HasSubstr("alpha"), testing::HasSubstr("lambda")));
}

TEST(Booster, HasThePapersPreset) { EXPECT_PRESET("booster", "paper", {{"alpha", 0.1}, {"lambda", 5.0}}); }

fixtures::WholeTrainings::MakeStage booster() {
  return [] { return fixtures::training_stage(make_defense("booster", {{"rows", 4}})); };
}

TEST_F(BoosterRows, AKilledTrainingEndsInTheSameBits) { fixtures::expect_resumes_to_the_same_bits(booster(), context_); }

TEST_F(BoosterRows, StaysCloseInBfloat16) { fixtures::expect_bfloat16_stays_close(booster(), context_, 0.05, 0.98); }

}  // namespace
}  // namespace holdfast
