// Panacea against its rule, in float64: gradients of the decoder written down once more at w and at w + e, the closed form for
// a short perturbation, and what is released.
#include <gmock/gmock.h>

#include "plugin/presets.h"
#include "plugin/step_by_step.h"

namespace holdfast {
namespace {

using fixtures::length_of;
using fixtures::Named;
using fixtures::plus;
using fixtures::relative_distance;
using testing::HasSubstr;

class PanaceaRule : public testing::Test {
 protected:
  static constexpr double kLength = 0.4, kLambda = 3;
  enum class Variant { kPanacea, kDownhill, kWithoutNorm, kNormPerTensor, kOtherSign, kWithoutDifference };

  PanaceaRule() {
    context_.corpora["defender-harmful"] = fixtures::placeholder_rows();
    context_.corpora["defender-harmful"].resize(3);  // one batch of them, whatever their order
  }

  fixtures::TrainerGradients made(double length, double lambda, double cap = 0, std::int64_t micro_batch_size = 0,
                                  const std::string& method = "full") {
    const DefenseStages panacea =
        make_defense("panacea", {{"eps_rho", length}, {"lambda", lambda}, {"loss_cap", cap}, {"release", false}});
    TrainingOptions options;
    options.method = method;
    options.micro_batch_size = micro_batch_size;
    return fixtures::trainer_gradients(*model_, data_, options, *panacea.tune, &context_);
  }

  const Dataset& harmful() { return context_.corpora.at("defender-harmful"); }
  Named gradient(const Named& at, const Dataset& rows) { return fixtures::plain_gradient(*model_, at, rows); }
  double loss(const Named& at, const Dataset& rows) {
    const c10::NoGradGuard no_grad;
    return fixtures::reference_loss(fixtures::decoder_with(*model_, at), fixtures::encoded(*model_, rows)).item<double>();
  }

  // e
  Named perturbation(const Named& at, double length, Variant variant = Variant::kPanacea) {
    const Named s = gradient(at, harmful());
    Named e;
    for (const auto& [name, tensor] : s) {
      const double whole = variant == Variant::kWithoutNorm     ? 1
                           : variant == Variant::kNormPerTensor ? tensor.norm().item<double>() + 1e-7
                                                                : length_of(s) + 1e-7;
      e[name] = tensor * ((variant == Variant::kDownhill ? -length : length) / whole);
    }
    return e;
  }

  // grad f(w) - lambda (grad h(w + e) - grad h(w))
  Named expected(double length, double lambda, Variant variant = Variant::kPanacea) {
    const Named w = fixtures::values_of(*model_), s = gradient(w, harmful());
    const Named q = gradient(plus(w, 1, perturbation(w, length, variant)), harmful());
    return plus(gradient(w, data_), variant == Variant::kOtherSign ? lambda : -lambda,
                variant == Variant::kWithoutDifference ? q : plus(q, -1, s));
  }

  fakes::FakeContext context_;
  std::unique_ptr<LanguageModel> model_ = fixtures::in_float64(fixtures::load("grouped"));
  Dataset data_ = fixtures::trained_rows();
};

TEST_F(PanaceaRule, GradientsAreThoseOfTheRule) {
  for (const char* method : {"full", "lora"}) {
    for (const double length : {0.1, kLength}) {
      const auto step = made(length, kLambda, 0, 0, method);
      EXPECT_LT(relative_distance(step.gradients, expected(length, kLambda)), 1e-11) << method;
      EXPECT_NEAR(step.loss, loss(fixtures::values_of(*model_), data_), 1e-10) << method;
    }
  }
}

TEST_F(PanaceaRule, TheComparisonTellsWrongVariantsApart) {
  const Named gradients = made(kLength, kLambda).gradients;
  for (const auto variant :
       {Variant::kDownhill, Variant::kWithoutNorm, Variant::kNormPerTensor, Variant::kOtherSign, Variant::kWithoutDifference}) {
    EXPECT_GT(relative_distance(gradients, expected(kLength, kLambda, variant)), 1e-2) << static_cast<int>(variant);
  }
}

// As e gets short, the extra gradient becomes -lambda eps_rho H s / |s|: here by central differences of h's gradient along s.
TEST_F(PanaceaRule, AShortPerturbationGivesTheHessianAlongTheHarmfulGradient) {
  constexpr double kShort = 1e-4;
  const Named w = fixtures::values_of(*model_), s = gradient(w, harmful());
  const Named ahead = gradient(plus(w, kShort / length_of(s), s), harmful());
  const Named behind = gradient(plus(w, -kShort / length_of(s), s), harmful());
  const Named twice = plus(ahead, -1, behind);  // 2 kShort H s / |s|
  const Named extra = plus(made(kShort, kLambda).gradients, -1, gradient(w, data_));
  EXPECT_LT(relative_distance(extra, plus(twice, -kLambda / 2 - 1, twice)), 2e-3);
}

// h(w + e) counts as constant where the whole batch's is above the cap, in whatever micro-batches it comes.
TEST_F(PanaceaRule, TheCapIsOfTheWholeBatch) {
  const Named w = fixtures::values_of(*model_), s = gradient(w, harmful());
  const double perturbed = loss(plus(w, 1, perturbation(w, kLength)), harmful());
  const Named capped = plus(gradient(w, data_), kLambda, s);
  for (const std::int64_t micro_batch_size : {0, 1}) {
    EXPECT_LT(
        relative_distance(made(kLength, kLambda, 1.001 * perturbed, micro_batch_size).gradients, expected(kLength, kLambda)),
        1e-11);
    EXPECT_LT(relative_distance(made(kLength, kLambda, 0.999 * perturbed, micro_batch_size).gradients, capped), 1e-11);
  }
  EXPECT_GT(relative_distance(capped, expected(kLength, kLambda)), 1e-2);
}

TEST_F(PanaceaRule, ReleasesTheWeightsMovedByTheLastPerturbation) {
  for (const bool release : {true, false}) {
    const DefenseStages panacea = make_defense("panacea", {{"eps_rho", kLength}, {"release", release}});
    TrainingOptions options;
    options.lr = 1e-2;
    options.epochs = 3;
    const auto training = fixtures::steps_of(*model_, data_, options, *panacea.tune, context_);
    const Named released = plus(fixtures::values_of(*model_), -1, training.before_finish);
    if (!release) {
      EXPECT_EQ(length_of(released), 0);
      continue;
    }
    EXPECT_LT(relative_distance(released, perturbation(training.steps.back().before, kLength)), 1e-10);
    EXPECT_GT(relative_distance(released, perturbation(training.steps.front().before, kLength)), 1e-2);
    EXPECT_GT(relative_distance(released, perturbation(training.before_finish, kLength)), 1e-3);
  }
}

class PanaceaTraining : public testing::Test {
 protected:
  PanaceaTraining() { context_.corpora["defender-harmful"] = fixtures::placeholder_rows(); }
  static fixtures::WholeTrainings::MakeStage panacea(const Json& settings) {
    return [settings] { return fixtures::training_stage(make_defense("panacea", settings)); };
  }
  std::string outcome(const Json& settings) {
    const auto model = fixtures::load("grouped");
    return fixtures::error_of(*model, *make_defense("panacea", settings).tune, context_);
  }

  fakes::FakeContext context_;
};

TEST_F(PanaceaTraining, WithoutWeightAndReleaseIsPlain) {
  fixtures::expect_plain_training(panacea({{"lambda", 0}, {"release", false}}), panacea({{"release", false}}), context_);
  fixtures::expect_plain_training(panacea({{"lambda", 0}, {"eps_rho", 0}}), panacea({{"lambda", 0}}), context_);
}

TEST_F(PanaceaTraining, KilledEndsInTheSameBits) {
  fixtures::expect_resumes_to_the_same_bits(panacea({{"rows", 4}, {"lambda", 0.5}}), context_);
}

// Stopped between its last step and the release, a training has no step left that would make e anew.
TEST_F(PanaceaTraining, ThePerturbationIsPartOfWhatACheckpointKeeps) {
  for (const char* method : {"full", "lora"}) {
    fixtures::WholeTrainings trainings(panacea(Json::object()), context_, method, "float32");
    const auto resumed = trainings.killed_after(9);  // behind the last of eight
    EXPECT_EQ(resumed.steps_made, 0) << method;
    EXPECT_TRUE(same_bits(resumed, trainings.undisturbed())) << method;
  }
}

// In the stack (frozen-layers, panacea) the gradients, e and the release leave the frozen layer as it was, to the bit.
TEST_F(PanaceaTraining, LeavesFrozenLayersAlone) {
  const auto model = fixtures::load("grouped");
  const Named before = fixtures::values_of(*model);
  const DefenseStages frozen = make_defense("frozen-layers", {{"first", 1}, {"last", 1}});
  const DefenseStages panacea = make_defense("panacea");
  TrainingRun run;
  run.members = {{"frozen-layers", frozen.tune}, {"panacea", panacea.tune}};
  run.context = &context_;
  train(*model, fixtures::trained_rows(), {}, run);
  for (const auto& [name, after] : fixtures::values_of(*model)) {
    EXPECT_EQ(at::equal(after, before.at(name)), name.rfind("model.layers.1.", 0) == 0) << name;
  }
}

TEST_F(PanaceaTraining, StaysCloseInBfloat16) {
  fixtures::expect_bfloat16_stays_close(panacea({{"lambda", 0.5}}), context_, 0.05, 0.98);
}

TEST_F(PanaceaTraining, ReportsTheRowsOfTheDefender) {
  EXPECT_EQ(outcome(Json::object()), "no error");
  EXPECT_EQ(context_.reports.at("defender-rows").value, 5);
  EXPECT_EQ(outcome({{"rows", 2}}), "no error");
  EXPECT_EQ(context_.reports.at("defender-rows").value, 2);
  EXPECT_EQ(outcome({{"rows", 6}}), "panacea was asked for 6 rows and the corpus \"defender-harmful\" has 5: lower \"rows\"");
  context_.corpora["held"] = context_.corpora["defender-harmful"];
  context_.corpora["held"].resize(4);
  EXPECT_EQ(outcome({{"harmful", "held"}}), "no error");
  EXPECT_EQ(context_.reports.at("defender-rows").value, 4);
}

TEST(Panacea, SettingsMistakesAreNoted) {
  const std::string mistakes =
      fixtures::mistakes_of("panacea", {{"eps_rho", -1}, {"lambda", "much"}, {"loss_cap", -2}, {"release", 1}});
  for (const char* name : {"eps_rho", "lambda", "loss_cap", "release"}) EXPECT_THAT(mistakes, HasSubstr(name));
}

TEST(Panacea, PresetsAreThoseOfTheCard) {
  EXPECT_PRESET("panacea", "repo", {{"eps_rho", 1.0}, {"lambda", 0.001}, {"loss_cap", 5.0}, {"rows", 1000}});
}

}  // namespace
}  // namespace holdfast
