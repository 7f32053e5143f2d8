// SafeGrad against its rule, in float64: both gradients by the decoder written down once more, the projection on numbers in a
// row.
#include <gmock/gmock.h>

#include "fakes/context.h"
#include "plugin/followed_steps.h"
#include "plugin/presets.h"
#include "plugin/reference_divergence.h"
#include "plugin/whole_trainings.h"

namespace holdfast {
namespace {

using fakes::FakeContext;
using fixtures::DivergenceTerms;
using fixtures::FollowedStep;
using fixtures::Named;
using fixtures::plus;
using fixtures::ReferenceDecoder;
using fixtures::relative_distance;

class SafeGradRule : public testing::Test {
 protected:
  enum class Wrong { kNothing, kAlways, kNever, kOtherSign, kWithoutNorm };

  SafeGradRule() {
    context_.alignment_rows = fixtures::alignment_rows();
    context_.alignment_rows.erase(context_.alignment_rows.begin());  // two refusals: one batch, whatever their order
  }

  Dataset refusals() const { return {context_.alignment_rows[0], context_.alignment_rows[1]}; }

  Named user_gradient(const FollowedStep& step) {
    return fixtures::defined_at(
               *model_, step.before,
               [&](const ReferenceDecoder& decoder, const Named&) { return fixtures::reference_loss(decoder, step.rows); })
        .gradient;
  }
  Named alignment_gradient(const FollowedStep& step, const Named& reference, const DivergenceTerms& terms = {}) {
    return fixtures::defined_at(*model_, step.before,
                                [&](const ReferenceDecoder& decoder, const Named&) {
                                  return fixtures::reference_divergence(decoder, fixtures::decoder_with(*model_, reference),
                                                                        fixtures::encoded(*model_, refusals()), terms);
                                })
        .gradient;
  }

  // The model before tuning stands a little along the user's gradient: a step against it goes away from there, which is a
  // conflict; or on the other side, where it is none; or on either side, by turns of the tensors.
  Named reference_at(double along, bool by_turns = false) {
    const DefenseStages plain = make_defense("safegrad", {{"rho", 0}});
    const FollowedStep first = steps(plain, nullptr).front();
    Named gradient = user_gradient(first);
    bool turned = false;
    for (auto& [name, value] : gradient) {
      if (by_turns && (turned = !turned)) value = -value;
    }
    return plus(first.before, along / fixtures::length_of(gradient), gradient);
  }

  std::vector<FollowedStep> steps(const DefenseStages& defense, const std::shared_ptr<LanguageModel>& reference) {
    model_ = fixtures::in_float64(fixtures::load("grouped"));
    TrainingOptions options = fixtures::short_training();
    return fixtures::followed_steps(*model_, data_, {{"safegrad", defense.tune}}, options, context_, reference);
  }
  FollowedStep first_step(const Json& settings, const Named& reference) {
    std::shared_ptr<LanguageModel> other = fixtures::in_float64(fixtures::load("grouped"));
    for (const auto& [name, value] : reference) other->set_weight(name, value);
    return steps(make_defense("safegrad", settings), other).front();
  }

  static Named projected(const Named& g_u, const Named& g_a, bool global, double rho, Wrong wrong = Wrong::kNothing) {
    Named step;
    for (const auto& [name, value] : g_u) {
      const Named u = global ? g_u : Named{{name, value}}, a = global ? g_a : Named{{name, g_a.at(name)}};
      const double dot = fixtures::dot_of(u, a), square = fixtures::dot_of(a, a);
      const bool conflict = (dot < 0 || wrong == Wrong::kAlways) && wrong != Wrong::kNever;
      double part = conflict ? dot / (wrong == Wrong::kWithoutNorm ? 1 : square) : 0;
      if (wrong == Wrong::kOtherSign) part = -part;
      step[name] = value - part * g_a.at(name) + rho * g_a.at(name);
    }
    return step;
  }

  FakeContext context_;
  std::unique_ptr<LanguageModel> model_;
  Dataset data_ = fixtures::trained_rows();
};

constexpr double kAway = 0.5;

TEST_F(SafeGradRule, TakesOutWhatWorksAgainstAlignment) {
  const Named reference = reference_at(kAway);
  for (const double rho : {0.0, 0.8}) {
    const FollowedStep step = first_step({{"rho", rho}}, reference);
    const Named g_u = user_gradient(step), g_a = alignment_gradient(step, reference);
    ASSERT_LT(fixtures::cosine_of(g_u, g_a), -1e-3);
    EXPECT_LT(relative_distance(step.gradient, projected(g_u, g_a, true, rho)), 1e-9);
    const double square = fixtures::dot_of(g_a, g_a);
    EXPECT_NEAR(fixtures::dot_of(step.gradient, g_a) / square, rho, 1e-8);
    for (const auto wrong : {Wrong::kNever, Wrong::kOtherSign, Wrong::kWithoutNorm}) {
      EXPECT_GT(relative_distance(step.gradient, projected(g_u, g_a, true, rho, wrong)), 1e-3) << static_cast<int>(wrong);
    }
  }
}

TEST_F(SafeGradRule, LeavesAGradientWithoutConflict) {
  const Named reference = reference_at(-kAway);
  const FollowedStep step = first_step({{"rho", 0.8}}, reference);
  const Named g_u = user_gradient(step), g_a = alignment_gradient(step, reference);
  ASSERT_GT(fixtures::cosine_of(g_u, g_a), 1e-3);
  EXPECT_LT(relative_distance(step.gradient, plus(g_u, 0.8, g_a)), 1e-10);
  EXPECT_GT(relative_distance(step.gradient, projected(g_u, g_a, true, 0.8, Wrong::kAlways)), 1e-3);
}

TEST_F(SafeGradRule, JudgesEachTensorByItselfWhereAsked) {
  for (const bool by_turns : {true, false}) {
    const Named reference = reference_at(kAway, by_turns);
    const FollowedStep step = first_step({{"scope", "per-tensor"}}, reference);
    const Named g_u = user_gradient(step), g_a = alignment_gradient(step, reference);
    EXPECT_LT(relative_distance(step.gradient, projected(g_u, g_a, false, 1)), 1e-9);
    EXPECT_GT(relative_distance(step.gradient, projected(g_u, g_a, true, 1)), 1e-4);
  }
}

TEST_F(SafeGradRule, TheDivergenceIsThatOfItsSettings) {
  const Named reference = reference_at(-kAway);
  const FollowedStep step = first_step({{"positions", "answer"}, {"reduction", "token-mean"}}, reference);
  const Named g_u = user_gradient(step);
  const DivergenceTerms terms{.everywhere = false, .token_mean = true};
  EXPECT_LT(relative_distance(step.gradient, projected(g_u, alignment_gradient(step, reference, terms), true, 1)), 1e-9);
  EXPECT_GT(relative_distance(step.gradient, projected(g_u, alignment_gradient(step, reference), true, 1)), 1e-3);
}

// There is no divergence yet, and none is made of rounding; the loop logs the user's loss.
TEST_F(SafeGradRule, BeginsWithTheUsersGradient) {
  const auto made = steps(make_defense("safegrad"), nullptr);
  EXPECT_LT(relative_distance(made[0].gradient, user_gradient(made[0])), 1e-10);
  for (std::size_t i = 1; i < made.size(); ++i) {
    const Named g_u = user_gradient(made[i]), g_a = alignment_gradient(made[i], made[0].before);
    EXPECT_LT(relative_distance(made[i].gradient, projected(g_u, g_a, true, 1)), 1e-8) << i;
    const auto plain = fixtures::defined_at(*model_, made[i].before, [&](const ReferenceDecoder& decoder, const Named&) {
      return fixtures::reference_loss(decoder, made[i].rows);
    });
    EXPECT_NEAR(made[i].loss, plain.loss, 1e-10);
  }
}

class SafeGradTraining : public testing::Test {
 protected:
  SafeGradTraining() { context_.alignment_rows = fixtures::alignment_rows(); }
  static fixtures::WholeTrainings::MakeStage with(const Json& settings) {
    return [settings] { return fixtures::training_stage(make_defense("safegrad", settings)); };
  }
  FakeContext context_;
};

TEST_F(SafeGradTraining, KilledEndsInTheSameBits) {
  for (const char* scope : {"global", "per-tensor"}) {
    fixtures::expect_resumes_to_the_same_bits(with({{"scope", scope}}), context_);
  }
}

TEST_F(SafeGradTraining, StaysCloseInBfloat16) {
  fixtures::expect_bfloat16_stays_close(with({{"rho", 0.1}, {"reduction", "token-mean"}}), context_, 0.05, 0.95);
}

TEST_F(SafeGradTraining, CountsTheRowsOfTheDefenderAndIsNotPlain) {
  const auto made = fixtures::WholeTrainings(with({{"rows", 2}}), context_, "full", "float32").undisturbed();
  EXPECT_EQ(context_.reports.at("defender-rows").value, 2);
  const auto plain =
      fixtures::WholeTrainings([] { return std::make_shared<fixtures::PlainTraining>(); }, context_, "full", "float32")
          .undisturbed();
  EXPECT_FALSE(same_bits(made, plain));
}

TEST(SafeGrad, SettingsAreChecked) {
  const Json mistaken = {{"rho", -1},          {"scope", "layer"}, {"positions", "first"},
                         {"reduction", "max"}, {"rows", -1},       {"alignment", "none"}};
  const Settings wrong = Settings::of(mistaken);
  Params given(wrong.state);
  EXPECT_NE(shipped("safegrad").make_defense(given).tune, nullptr);
  for (const auto& [name, value] : mistaken.items()) EXPECT_THAT(wrong.mistakes(), testing::HasSubstr("\"" + name + "\""));
}

TEST(SafeGrad, PresetIsTheQuotation) {
  EXPECT_PRESET(
      "safegrad", "quoted",
      {{"rho", 1.0}, {"scope", "global"}, {"positions", "all"}, {"reduction", "batch-sum"}, {"alignment", "refusals"}});
}

}  // namespace
}  // namespace holdfast
