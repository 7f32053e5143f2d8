// EWC against its loss, in float64 along a training: squared gradients of the decoder written down once more, and the pull
// that they weigh.
#include <gmock/gmock.h>
#include <holdfast/error.h>

#include "fakes/context.h"
#include "learn/gradient_check.h"
#include "plugin/followed_steps.h"
#include "plugin/presets.h"
#include "plugin/whole_trainings.h"

namespace holdfast {
namespace {

using fakes::FakeContext;
using fixtures::FollowedStep;
using fixtures::Named;
using fixtures::relative_distance;

class EwcRule : public testing::Test {
 protected:
  static constexpr double kLambda = 2;

  EwcRule() { context_.alignment_rows = fixtures::alignment_rows(); }

  std::vector<FollowedStep> steps(Json settings = Json::object()) {
    settings["lambda"] = kLambda;
    const DefenseStages defense = make_defense("ewc", settings);
    return fixtures::followed_steps(*model_, data_, {{"ewc", defense.tune}}, fixtures::short_training(), context_);
  }

  // The sum of the squared gradients of these batches' losses at those weights, times a factor.
  Named fisher(const Named& at, const std::vector<Dataset>& batches, double factor = 1) {
    Named sum;
    for (const auto& [name, value] : at) sum[name] = at::zeros_like(value);
    for (const auto& rows : batches) {
      const Named gradient = fixtures::defined_at(*model_, at, [&](const fixtures::ReferenceDecoder& decoder, const Named&) {
                               return fixtures::reference_loss(decoder, fixtures::encoded(*model_, rows));
                             }).gradient;
      for (auto& [name, total] : sum) total = total + factor * gradient.at(name).square();
    }
    return sum;
  }

  fixtures::Defined expected(const FollowedStep& step, const Named& start, const Named& fisher, double lambda = kLambda) {
    return fixtures::defined_at(*model_, step.before, [&](const fixtures::ReferenceDecoder& decoder, const Named& w) {
      at::Tensor sum = fixtures::reference_loss(decoder, step.rows);
      for (const auto& [name, value] : w) sum = sum + lambda * (fisher.at(name) * (value - start.at(name)).square()).sum();
      return sum;
    });
  }

  // As the training cuts them: two rows, then one.
  std::vector<Dataset> batches() const {
    const Dataset rows = fixtures::refusals();
    return {{rows[0], rows[1]}, {rows[2]}};
  }
  std::vector<Dataset> single_rows() const {
    const Dataset rows = fixtures::refusals();
    return {{rows[0]}, {rows[1]}, {rows[2]}};
  }

  FakeContext context_;
  std::unique_ptr<LanguageModel> model_ = fixtures::in_float64(fixtures::load("grouped"));
  Dataset data_ = fixtures::trained_rows();
};

TEST_F(EwcRule, PullsByTheSummedSquaresOfBatchGradients) {
  const auto made = steps();
  ASSERT_EQ(made.size(), 4U);
  const Named start = made[0].before, weights = fisher(start, batches());
  for (const auto& step : made) fixtures::expect_step_is(step, expected(step, start, weights), "batch-sum");
}

TEST_F(EwcRule, PullsByTheMeanSquaresOfRowGradientsWhereAsked) {
  const auto made = steps({{"fisher", "row-mean"}});
  const Named start = made[0].before, weights = fisher(start, single_rows(), 1.0 / 3);
  for (const auto& step : made) fixtures::expect_step_is(step, expected(step, start, weights), "row-mean");
}

TEST_F(EwcRule, TheComparisonTellsWrongVariantsApart) {
  const auto made = steps();
  const FollowedStep& step = made.back();
  const Named start = made[0].before, right = fisher(start, batches());
  Named ones;
  for (const auto& [name, value] : start) ones[name] = at::ones_like(value);
  for (const auto& wrong :
       {expected(step, start, right, kLambda / 2), expected(step, start, right, -kLambda),
        expected(step, made[1].before, right), expected(step, start, fisher(start, {fixtures::refusals()})),
        expected(step, start, fisher(start, batches(), 0.5)), expected(step, start, fisher(start, single_rows(), 1.0 / 3)),
        expected(step, start, ones), expected(step, start, fisher(made[1].before, batches()))}) {
    EXPECT_GT(relative_distance(step.gradient, wrong.gradient), 1e-3);
  }
}

// Fresh factors: B is zero, so that nothing depends on A, which EWC then leaves free.
TEST_F(EwcRule, HoldsNothingOfAFreshFactorA) {
  TrainingOptions options = fixtures::short_training();
  options.method = "lora";
  options.lora_rank = 2;
  options.epochs = 2;
  const DefenseStages defense = make_defense("ewc", {{"lambda", 1e6}});
  const auto made = fixtures::followed_steps(*model_, data_, {{"ewc", defense.tune}}, options, context_);
  const FollowedStep& step = made.back();
  const auto plain = fixtures::defined_at(
      *model_, step.before, [&](const auto& decoder, const auto&) { return fixtures::reference_loss(decoder, step.rows); });
  Named of_a, plain_of_a, of_b, plain_of_b;
  for (const auto& [name, gradient] : step.gradient) {
    const bool is_a = name.find("lora_A") != std::string::npos;
    (is_a ? of_a : of_b)[name] = gradient;
    (is_a ? plain_of_a : plain_of_b)[name] = plain.gradient.at(name);
  }
  EXPECT_LT(relative_distance(of_a, plain_of_a), 1e-10);
  EXPECT_GT(relative_distance(of_b, plain_of_b), 1e-2);
}

class EwcTraining : public testing::Test {
 protected:
  EwcTraining() { context_.alignment_rows = fixtures::alignment_rows(); }
  static fixtures::WholeTrainings::MakeStage with(const Json& settings) {
    return [settings] { return fixtures::training_stage(make_defense("ewc", settings)); };
  }
  FakeContext context_;
};

TEST_F(EwcTraining, WithoutWeightIsPlain) { fixtures::expect_strength(with({{"lambda", 0}}), with({{"lambda", 1}}), context_); }

// What it remembers, it makes anew.
TEST_F(EwcTraining, KilledEndsInTheSameBits) {
  for (const char* fisher : {"batch-sum", "row-mean"}) {
    fixtures::expect_resumes_to_the_same_bits(with({{"lambda", 10}, {"fisher", fisher}}), context_);
  }
}

TEST_F(EwcTraining, StaysCloseInBfloat16) {
  fixtures::expect_bfloat16_stays_close(with({{"lambda", 1}}), context_, 0.05, 0.98);
}

TEST_F(EwcTraining, CountsTheRowsOfTheDefender) {
  fixtures::WholeTrainings(with({{"rows", 2}}), context_, "full", "float32").undisturbed();
  EXPECT_EQ(context_.reports.at("defender-rows").value, 2);
}

TEST(Ewc, SettingsAreChecked) {
  const Settings wrong = Settings::of({{"lambda", -1}, {"fisher", "diagonal"}, {"alignment", 3}, {"rows", -1}});
  Params given(wrong.state);
  EXPECT_NE(shipped("ewc").make_defense(given).tune, nullptr);
  for (const char* name : {"lambda", "fisher", "alignment", "rows"}) EXPECT_THAT(wrong.mistakes(), testing::HasSubstr(name));
}

TEST(Ewc, PresetsAreThoseOfTheCodeAndTheTextbook) {
  EXPECT_PRESET("ewc", "repo", {{"lambda", 1e-3}, {"fisher", "batch-sum"}, {"alignment", "refusals"}});
  EXPECT_PRESET("ewc", "textbook", {{"lambda", 1e-3}, {"fisher", "row-mean"}, {"alignment", "refusals"}});
}

}  // namespace
}  // namespace holdfast
