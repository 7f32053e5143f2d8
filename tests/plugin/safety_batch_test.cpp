// The safety batch against its loss, in float64 along a training, by the decoder written down once more.
#include <gmock/gmock.h>
#include <holdfast/error.h>

#include "fakes/context.h"
#include "plugin/followed_steps.h"
#include "plugin/presets.h"
#include "plugin/whole_trainings.h"

namespace holdfast {
namespace {

using fakes::FakeContext;
using fixtures::FollowedStep;
using fixtures::relative_distance;

class SafetyBatchRule : public testing::Test {
 protected:
  SafetyBatchRule() { context_.alignment_rows = fixtures::alignment_rows(); }

  std::vector<FollowedStep> steps(const Json& settings) {
    const DefenseStages defense = make_defense("safety-batch", settings);
    return fixtures::followed_steps(*model_, data_, {{"safety-batch", defense.tune}}, fixtures::short_training(), context_);
  }
  fixtures::Defined expected(const FollowedStep& step, double lambda, const Dataset& safety) {
    return fixtures::defined_at(*model_, step.before, [&](const fixtures::ReferenceDecoder& decoder, const fixtures::Named&) {
      return fixtures::reference_loss(decoder, step.rows) +
             lambda * fixtures::reference_loss(decoder, fixtures::encoded(*model_, safety));
    });
  }

  FakeContext context_;
  std::unique_ptr<LanguageModel> model_ = fixtures::in_float64(fixtures::load("grouped"));
  Dataset data_ = fixtures::trained_rows();
};

// All refusals in one batch, whatever their order; in micro-batches of one.
TEST_F(SafetyBatchRule, DescendsBothLosses) {
  const auto made = steps({{"lambda", 0.7}, {"batch", 3}});
  ASSERT_EQ(made.size(), 4U);
  for (const auto& step : made) fixtures::expect_step_is(step, expected(step, 0.7, fixtures::refusals()), "refusals");
}

TEST_F(SafetyBatchRule, LearnsAllAlignmentRowsWhereAsked) {
  const auto made = steps({{"lambda", 0.7}, {"batch", 5}, {"alignment", "all"}});
  for (const auto& step : made) fixtures::expect_step_is(step, expected(step, 0.7, fixtures::alignment_rows()), "all");
}

TEST_F(SafetyBatchRule, TheComparisonTellsWrongVariantsApart) {
  const auto step = steps({{"lambda", 0.7}, {"batch", 3}}).back();
  const auto one_mean = fixtures::defined_at(*model_, step.before, [&](const auto& decoder, const auto&) {
    auto rows = step.rows;
    for (auto& row : fixtures::encoded(*model_, fixtures::refusals())) rows.push_back(std::move(row));
    return fixtures::reference_loss(decoder, rows);
  });
  for (const auto& wrong : {expected(step, 1, fixtures::refusals()), expected(step, -0.7, fixtures::refusals()),
                            expected(step, 0.7, fixtures::alignment_rows()), one_mean}) {
    EXPECT_GT(relative_distance(step.gradient, wrong.gradient), 1e-2);
  }
}

TEST_F(SafetyBatchRule, ABatchHasTheRowsOfTheSetting) {
  const auto step = steps({{"lambda", 0.7}, {"batch", 2}}).front();
  const Dataset all = fixtures::refusals();
  int found = 0;
  for (const Dataset& pair : {Dataset{all[0], all[1]}, Dataset{all[0], all[2]}, Dataset{all[1], all[2]}}) {
    found += relative_distance(step.gradient, expected(step, 0.7, pair).gradient) < 1e-10;
  }
  EXPECT_EQ(found, 1);
}

class SafetyBatchTraining : public testing::Test {
 protected:
  SafetyBatchTraining() { context_.alignment_rows = fixtures::alignment_rows(); }
  static fixtures::WholeTrainings::MakeStage with(const Json& settings) {
    return [settings] { return fixtures::training_stage(make_defense("safety-batch", settings)); };
  }
  std::string outcome(const Json& settings) {
    try {
      fixtures::WholeTrainings(with(settings), context_, "full", "float32").undisturbed();
      return "no error";
    } catch (const Error& error) {
      return error.what();
    }
  }
  FakeContext context_;
};

TEST_F(SafetyBatchTraining, WithoutWeightIsPlain) {
  fixtures::expect_strength(with({{"lambda", 0}}), with({{"lambda", 0.1}}), context_);
}

TEST_F(SafetyBatchTraining, KilledEndsInTheSameBits) {
  fixtures::expect_resumes_to_the_same_bits(with({{"batch", 2}}), context_);
}

TEST_F(SafetyBatchTraining, StaysCloseInBfloat16) {
  fixtures::expect_bfloat16_stays_close(with({{"batch", 2}}), context_, 0.05, 0.98);
}

TEST_F(SafetyBatchTraining, CountsTheRowsOfTheDefender) {
  EXPECT_EQ(outcome({{"batch", 2}}), "no error");
  EXPECT_EQ(context_.reports.at("defender-rows").value, 3);
  EXPECT_EQ(outcome({{"batch", 2}, {"rows", 2}}), "no error");
  EXPECT_EQ(context_.reports.at("defender-rows").value, 2);
  EXPECT_EQ(outcome({{"alignment", "all"}}), "no error");
  EXPECT_EQ(context_.reports.at("defender-rows").value, 5);
  EXPECT_EQ(outcome({{"rows", 4}}),
            "safety-batch was asked for 4 rows and the alignment data of kind \"harmful\" has 3: lower \"rows\"");
}

TEST_F(SafetyBatchTraining, NeedsRefusals) {
  for (auto& row : context_.alignment_rows) row.tags.clear();
  EXPECT_EQ(
      outcome(Json::object()),
      "safety-batch needs alignment rows of kind \"harmful\", and none of the 5 alignment rows is one: give them that kind, "
      "or set alignment = \"all\"");
  EXPECT_EQ(outcome({{"alignment", "all"}}), "no error");
}

TEST(SafetyBatch, SettingsAreChecked) {
  const Settings wrong = Settings::of({{"lambda", -1}, {"batch", 0}, {"alignment", "harmful"}, {"rows", -1}});
  Params given(wrong.state);
  const DefenseStages defense = shipped("safety-batch").make_defense(given);
  EXPECT_NE(defense.tune, nullptr);
  EXPECT_FALSE(defense.tune->draws_itself());
  for (const char* name : {"lambda", "batch", "alignment", "rows"}) EXPECT_THAT(wrong.mistakes(), testing::HasSubstr(name));
}

TEST(SafetyBatch, PresetIsTheCodes) {
  EXPECT_PRESET("safety-batch", "repo", {{"lambda", 0.1}, {"batch", 4}, {"alignment", "refusals"}});
}

}  // namespace
}  // namespace holdfast
