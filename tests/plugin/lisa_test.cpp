// Lisa against its definition, in float64, step by step along a training: which rows each state learns, and the gradient of the
// plain loss of the decoder written down once more plus rho / 2 |w - w_other|^2, with a snapshot of each state as the paper
// keeps.
#include <gmock/gmock.h>
#include <holdfast/error.h>

#include "fakes/context.h"
#include "plugin/followed_steps.h"
#include "plugin/presets.h"
#include "plugin/whole_trainings.h"

namespace holdfast {
namespace {

using fakes::FakeContext;
using fixtures::Named;
using fixtures::relative_distance;
using Step = fixtures::FollowedStep;

constexpr std::int64_t kSafetySteps = 2, kUserSteps = 3;
constexpr double kRho = 1.5;

class LisaRule : public testing::Test {
 protected:
  enum class Variant { kLisa, kOwnSnapshot, kStart, kTwice };

  LisaRule() { context_.alignment_rows = fixtures::placeholder_rows(); }

  // Twelve steps of two rows in two micro-batches; the user's rows come in their order.
  std::vector<Step> steps(Json settings) {
    settings.update({{"safety_steps", kSafetySteps}, {"user_steps", kUserSteps}});
    const DefenseStages lisa = make_defense("lisa", settings);
    TrainingOptions options = fixtures::short_training();
    options.epochs = 3;
    auto steps = fixtures::followed_steps(*model_, data_, {{"lisa", lisa.tune}}, options, context_);
    EXPECT_EQ(steps.size(), 12U);
    return steps;
  }

  static bool is_safety(std::size_t step) { return step % (kSafetySteps + kUserSteps) < kSafetySteps; }

  // The weights that step is held near to.
  static Named anchor(const std::vector<Step>& steps, std::size_t step, Variant variant) {
    Named safety = steps[0].before, user = steps[0].before;  // as each state ended last
    for (std::size_t i = 1; i <= step; ++i) {
      if (is_safety(i) != is_safety(i - 1)) (is_safety(i - 1) ? safety : user) = steps[i].before;
    }
    if (variant == Variant::kStart) return steps[0].before;
    return is_safety(step) != (variant == Variant::kOwnSnapshot) ? user : safety;
  }

  // Loss and gradient of one step, by definition.
  std::pair<double, Named> expected(const std::vector<Step>& steps, std::size_t i, double rho,
                                    Variant variant = Variant::kLisa) {
    const Named other = anchor(steps, i, variant);
    double loss = 0;
    const Named gradient =
        fixtures::reference_gradients(*model_, steps[i].before, [&](const fixtures::ReferenceDecoder& decoder, const Named& w) {
          at::Tensor sum = fixtures::reference_loss(decoder, steps[i].rows);
          for (const auto& [name, value] : w) {
            sum = sum + (variant == Variant::kTwice ? 2 : 1) * rho / 2 * (value - other.at(name)).square().sum();
          }
          loss = sum.item<double>();
          return sum;
        });
    return {loss, gradient};
  }

  FakeContext context_;
  std::unique_ptr<LanguageModel> model_ = fixtures::in_float64(fixtures::load("grouped"));
  Dataset data_ = fixtures::trained_rows();
};

TEST_F(LisaRule, GradientsAreThoseOfTheProximalLoss) {
  const auto made = steps({{"rho", kRho}});
  for (std::size_t i = 0; i < made.size(); ++i) {
    const auto [loss, gradient] = expected(made, i, kRho);
    EXPECT_NEAR(made[i].loss, loss, 1e-10) << i;
    EXPECT_LT(relative_distance(made[i].gradient, gradient), 1e-11) << i;
  }
}

TEST_F(LisaRule, TheComparisonTellsWrongVariantsApart) {
  const auto made = steps({{"rho", kRho}});
  for (const auto variant : {Variant::kOwnSnapshot, Variant::kStart, Variant::kTwice}) {
    EXPECT_GT(relative_distance(made[9].gradient, expected(made, 9, kRho, variant).second), 1e-2) << static_cast<int>(variant);
  }
}

TEST_F(LisaRule, LearnsSafetyRowsFirstAndLeavesTheCustomersWhereTheyAre) {
  const auto made = steps({});
  const auto in = [](const Encoded& row, const std::vector<Encoded>& rows) {
    return std::any_of(rows.begin(), rows.end(),
                       [&](const Encoded& each) { return each.ids == row.ids && each.label == row.label; });
  };
  const auto safety = fixtures::encoded(*model_, context_.alignment_rows), user = fixtures::encoded(*model_, data_);
  std::vector<std::vector<std::int64_t>> seen, wanted;
  for (std::size_t i = 0; i < made.size(); ++i) {
    for (const auto& row : made[i].rows) {
      EXPECT_TRUE(in(row, is_safety(i) ? safety : user)) << i;
      if (!is_safety(i)) seen.push_back(row.ids);
    }
  }
  for (std::size_t i = 0; i < seen.size(); ++i) wanted.push_back(user[i % user.size()].ids);
  EXPECT_GT(seen.size(), user.size());
  EXPECT_EQ(seen, wanted);
}

TEST_F(LisaRule, WithoutThePullItIsBiStateOptimisation) {
  const auto made = steps({{"rho", 0}});
  for (const std::size_t i : {1, 4, 9}) {
    const auto [loss, gradient] = expected(made, i, 0);
    EXPECT_NEAR(made[i].loss, loss, 1e-10) << i;
    EXPECT_LT(relative_distance(made[i].gradient, gradient), 1e-11) << i;
  }
}

// As the code has it: the first step with the pull is the first behind that share.
TEST_F(LisaRule, IsFreeInTheFirstShareOfSteps) {
  const auto made = steps({{"rho", kRho}, {"free_share", 0.5}});
  for (const std::size_t i : {4, 6, 7, 8, 9}) {
    const auto [loss, gradient] = expected(made, i, i <= 6 ? 0 : kRho);
    EXPECT_LT(relative_distance(made[i].gradient, gradient), 1e-11) << i;
  }
  EXPECT_GT(relative_distance(made[6].gradient, expected(made, 6, kRho).second), 1e-3);
}

class LisaTraining : public testing::Test {
 protected:
  LisaTraining() { context_.alignment_rows = fixtures::placeholder_rows(); }
  static std::shared_ptr<TrainingStage> lisa(Json settings = Json::object()) {
    settings.update({{"safety_steps", 2}, {"user_steps", 3}, {"rho", 20}});
    return fixtures::training_stage(make_defense("lisa", settings));
  }
  std::string outcome(const Json& settings) {
    try {
      fixtures::WholeTrainings([&] { return fixtures::training_stage(make_defense("lisa", settings)); }, context_, "full",
                               "float32")
          .undisturbed();
      return "no error";
    } catch (const Error& error) {
      return error.what();
    }
  }

  FakeContext context_;
};

TEST_F(LisaTraining, KilledEndsInTheSameBits) {
  fixtures::expect_resumes_to_the_same_bits([] { return lisa(); }, context_);
}

// Says that it keeps everything, and keeps nothing.
class Forgetful final : public TrainingStage {
 public:
  explicit Forgetful(std::shared_ptr<TrainingStage> stage) : stage_(std::move(stage)) {}
  void begin(Trainer& trainer) override { stage_->begin(trainer); }
  double step(Trainer& trainer) override { return stage_->step(trainer); }
  bool archive(Archive&) override { return true; }

 private:
  std::shared_ptr<TrainingStage> stage_;
};

TEST_F(LisaTraining, TheAnchorIsPartOfWhatACheckpointKeeps) {
  fixtures::WholeTrainings trainings([] { return std::make_shared<Forgetful>(lisa()); }, context_, "full", "float32");
  EXPECT_FALSE(same_bits(trainings.killed_after(5), trainings.undisturbed()));
}

TEST_F(LisaTraining, StaysCloseInBfloat16) {
  fixtures::expect_bfloat16_stays_close([] { return lisa(); }, context_, 0.05, 0.98);
}

TEST_F(LisaTraining, ReportsTheRowsOfTheDefender) {
  EXPECT_EQ(outcome({{"safety_steps", 2}}), "no error");
  EXPECT_EQ(context_.reports.at("defender-rows").value, 5);
  EXPECT_EQ(outcome({{"safety_steps", 2}, {"rows", 3}}), "no error");
  EXPECT_EQ(context_.reports.at("defender-rows").value, 3);
  EXPECT_EQ(outcome({{"safety_steps", 2}, {"rows", 6}}),
            "lisa was asked for 6 rows and the alignment data has 5: lower \"rows\"");
}

TEST_F(LisaTraining, ThatEndsBeforeTheCustomersRowsIsAnError) {
  EXPECT_EQ(outcome({{"safety_steps", 8}}),
            "lisa begins with 8 steps on safety rows and this training has 8 steps, so that the customer's rows would never be "
            "learned: lower \"safety_steps\"");
  EXPECT_EQ(outcome({{"safety_steps", 7}}), "no error");
}

TEST(Lisa, PresetsDifferInTheFreeShare) {
  for (const auto& [preset, free] : {std::pair{"paper", 0.0}, {"repo", 0.1}}) {
    EXPECT_PRESET("lisa", preset, {{"safety_steps", 100}, {"user_steps", 900}, {"rho", 1.0}, {"free_share", free}});
  }
}

TEST(Lisa, SettingsAreThePapersAndStatesHaveSteps) {
  const Settings defaults;
  Params params(defaults.state);
  const DefenseStages lisa = shipped("lisa").make_defense(params);
  ASSERT_NE(lisa.tune, nullptr);
  EXPECT_EQ(lisa.align, nullptr);
  EXPECT_TRUE(lisa.tune->draws_itself());
  EXPECT_EQ(defaults.state->resolved.at("safety_steps"), 100);
  EXPECT_EQ(defaults.state->resolved.at("user_steps"), 900);
  EXPECT_EQ(defaults.state->resolved.at("rho"), 1.0);
  EXPECT_EQ(defaults.state->resolved.at("free_share"), 0.0);
  const Settings wrong = Settings::of({{"safety_steps", 0}, {"user_steps", 0}, {"rho", -1}, {"free_share", 2}});
  Params given(wrong.state);
  shipped("lisa").make_defense(given);
  for (const char* name : {"safety_steps", "user_steps", "rho", "free_share"}) {
    EXPECT_THAT(wrong.mistakes(), testing::HasSubstr(name));
  }
}

}  // namespace
}  // namespace holdfast
