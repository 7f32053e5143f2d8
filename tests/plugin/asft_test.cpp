// AsFT against its definition, in float64: the plain loss plus lambda times |(I - C) D|_F^2 with D written out, (out, in), and
// C as a matrix, along a training whose first step begins where D is zero.
#include <gmock/gmock.h>
#include <holdfast/repair.h>

#include "learn/adapted_model.h"
#include "plugin/presets.h"
#include "plugin/step_by_step.h"

namespace holdfast {
namespace {

using fixtures::Named;
using fixtures::relative_distance;
using testing::HasSubstr;

const std::string kUnaligned = "model.layers.1.mlp.up_proj.weight";

// Every linear but one as it might have been before an alignment of rank 2.
std::unique_ptr<LanguageModel> before_alignment(const LanguageModel& aligned) {
  auto base = aligned.copy();
  double phase = 0.3;
  for (const auto& [block, linear, name] : named_linears(aligned)) {
    if (name == kUnaligned) continue;
    const at::Tensor weight = base->weights().at(name);
    const at::Tensor v = fixtures::waves({weight.size(0), 2}, phase).matmul(fixtures::waves({2, weight.size(1)}, 2 * phase));
    base->set_weight(name, weight - v.mul(0.02).to(weight.scalar_type()));
    phase += 0.37;
  }
  return base;
}

class AsftRule : public testing::Test {
 protected:
  static constexpr double kLambda = 2.5;
  enum class Variant { kAsft, kScaled, kWithoutC, kOtherLinear, kNotSquared };

  AsftRule() : aligned_(model_->copy()), base_(before_alignment(*model_)) {
    context_.aligned = aligned_.get();
    context_.base = base_.get();
  }

  fixtures::MadeTraining made(const Json& settings, const std::string& method, std::vector<std::string> targets = {}) {
    const DefenseStages asft = make_defense("asft", settings);
    TrainingOptions options;
    options.method = method;
    options.lr = 2e-2;
    options.epochs = 3;
    options.lora_targets = std::move(targets);
    return fixtures::steps_of(*model_, data_, options, *asft.tune, context_);
  }

  at::Tensor v(const std::string& name) { return aligned_->weights().at(name) - base_->weights().at(name); }

  at::Tensor projection(const std::string& name, bool exact) {
    const at::Tensor change = v(name);
    if (name == kUnaligned) return at::zeros({change.size(0), change.size(0)}, at::kDouble);
    if (exact) return change.matmul(at::linalg_pinv(change, 1e-9));
    at::Tensor c = at::zeros({change.size(0), change.size(0)}, at::kDouble);
    double squares = 0;
    for (std::int64_t j = 0; j < change.size(1); ++j) {
      const at::Tensor column = change.select(1, j);
      c += at::outer(column, column);
      squares += column.dot(column).item<double>();
    }
    return c / std::sqrt(squares);
  }

  // Loss and gradient of a step that begins with these values.
  std::pair<double, Named> expected(const Named& at, bool exact, Variant variant = Variant::kAsft) {
    double value = 0;
    const Named gradient =
        fixtures::reference_gradients(*model_, at, [&](const fixtures::ReferenceDecoder& decoder, const Named& w) {
          at::Tensor sum = fixtures::reference_loss(decoder, fixtures::encoded(*model_, data_));
          for (const auto& [block, linear, name] : named_linears(*model_)) {
            const std::string module = name.substr(0, name.size() - 7);
            at::Tensor d;
            if (w.count(module + ".lora_A.weight") > 0) {
              d = w.at(module + ".lora_B.weight").matmul(w.at(module + ".lora_A.weight"));
              if (variant == Variant::kScaled) d = d * (32.0 / 3);
            } else if (w.count(name) > 0) {
              d = w.at(name) - aligned_->weights().at(name);
            } else {
              continue;
            }
            // o_proj and q_proj have one shape.
            const bool swapped = variant == Variant::kOtherLinear && name.find("q_proj") != std::string::npos;
            std::string of = name;
            if (swapped) of.replace(of.find("q_proj"), 6, "o_proj");
            at::Tensor left = at::eye(d.size(0), at::kDouble);
            if (variant != Variant::kWithoutC) left = left - projection(of, exact);
            const at::Tensor squares = left.matmul(d).square().sum();
            sum = sum + kLambda * (variant == Variant::kNotSquared ? (squares + 1e-30).sqrt() : squares);
          }
          value = sum.item<double>();
          return sum;
        });
    return {value, gradient};
  }

  fakes::FakeContext context_;
  std::unique_ptr<LanguageModel> model_ = fixtures::in_float64(fixtures::load("grouped"));
  std::unique_ptr<LanguageModel> aligned_, base_;
  Dataset data_ = fixtures::trained_rows();
};

TEST_F(AsftRule, GradientsAreThoseOfTheDefinition) {
  for (const char* method : {"full", "lora"}) {
    for (const bool exact : {false, true}) {
      model_ = fixtures::in_float64(fixtures::load("grouped"));
      const auto training = made({{"lambda", kLambda}, {"projection", exact ? "exact" : "approximate"}}, method);
      ASSERT_EQ(training.steps.size(), 3U);
      for (const auto& step : training.steps) {
        const auto [value, gradient] = expected(step.before, exact);
        EXPECT_NEAR(step.loss, value, 1e-10) << method << exact;
        EXPECT_LT(relative_distance(step.gradient, gradient), 1e-10) << method << exact;
      }
      // What is to be learned pulls outside, so that the two projections and the plain loss differ.
      const Named last = training.steps.back().before;
      EXPECT_GT(relative_distance(expected(last, !exact).second, training.steps.back().gradient), 1e-3) << method << exact;
      EXPECT_GT(relative_distance(fixtures::plain_gradient(*model_, last, data_), training.steps.back().gradient), 1e-2);
    }
  }
}

TEST_F(AsftRule, TheComparisonTellsWrongVariantsApart) {
  const auto step = made({{"lambda", kLambda}}, "lora").steps.back();
  for (const auto variant : {Variant::kScaled, Variant::kWithoutC, Variant::kOtherLinear, Variant::kNotSquared}) {
    EXPECT_GT(relative_distance(step.gradient, expected(step.before, false, variant).second), 1e-4)
        << static_cast<int>(variant);
  }
}

TEST_F(AsftRule, BeginsAtZeroWithThePlainGradient) {
  for (const char* method : {"full", "lora"}) {
    model_ = fixtures::in_float64(fixtures::load("grouped"));
    const auto step = made({{"lambda", kLambda}}, method).steps.front();
    EXPECT_LT(relative_distance(step.gradient, fixtures::plain_gradient(*model_, step.before, data_)), 1e-11) << method;
  }
}

TEST_F(AsftRule, HoldsTheLinearsThatAreTrained) {
  const auto step = made({{"lambda", kLambda}}, "lora", {"q_proj", "v_proj"}).steps.back();
  EXPECT_EQ(step.gradient.size(), 8U);
  EXPECT_LT(relative_distance(step.gradient, expected(step.before, false).second), 1e-10);
}

// What tuning changes outside the alignment's directions gets smaller as lambda grows.
TEST_F(AsftRule, KeepsTheChangeInside) {
  const auto outside = [&](double lambda) {
    model_ = fixtures::in_float64(fixtures::load("grouped"));
    made({{"lambda", lambda}, {"projection", "exact"}}, "full");
    double sum = 0;
    for (const auto& [block, linear, name] : named_linears(*model_)) {
      const at::Tensor d = model_->weights().at(name) - aligned_->weights().at(name);
      sum += (d - projection(name, true).matmul(d)).square().sum().item<double>();
    }
    return sum;
  };
  EXPECT_LT(outside(100), 0.9 * outside(0));
}

class AsftTraining : public testing::Test {
 protected:
  AsftTraining() : base_(before_alignment(*aligned_)) {
    context_.aligned = aligned_.get();
    context_.base = base_.get();
  }
  static fixtures::WholeTrainings::MakeStage asft(const Json& settings) {
    return [settings] { return fixtures::training_stage(make_defense("asft", settings)); };
  }
  std::string outcome(const LanguageModel& base) {
    context_.base = &base;
    const auto model = fixtures::load("grouped");
    return fixtures::error_of(*model, *make_defense("asft").tune, context_);
  }

  fakes::FakeContext context_;
  std::unique_ptr<LanguageModel> aligned_ = fixtures::load("grouped");
  std::unique_ptr<LanguageModel> base_;
};

TEST_F(AsftTraining, WithoutWeightIsPlain) {
  fixtures::expect_plain_training(asft({{"lambda", 0}}), asft({{"lambda", 1}}), context_);
}

TEST_F(AsftTraining, KilledEndsInTheSameBits) {
  fixtures::expect_resumes_to_the_same_bits(asft({{"lambda", 5}, {"projection", "exact"}}), context_);
}

TEST_F(AsftTraining, StaysCloseInBfloat16) {
  fixtures::expect_bfloat16_stays_close(asft({{"lambda", 5}}), context_, 0.05, 0.98);
}

TEST_F(AsftTraining, SaysWhatItCannotDo) {
  EXPECT_EQ(outcome(*base_), "no error");
  EXPECT_THAT(outcome(*aligned_), HasSubstr("the aligned model's linears are those of its base: name the checkpoint"));
  EXPECT_THAT(outcome(*fixtures::load("qwen3")), HasSubstr("the base has no weight \"model.layers.0."));
}

TEST(Asft, NeedsBothModelsAndNotesMistakes) {
  EXPECT_EQ(make_defense("asft").tune->needs(), kNeedsAligned | kNeedsBase);
  const std::string mistakes =
      fixtures::mistakes_of("asft", {{"lambda", -1}, {"projection", "oblique"}, {"rank_tolerance", 2}});
  for (const char* name : {"lambda", "projection", "rank_tolerance"}) EXPECT_THAT(mistakes, HasSubstr(name));
}

TEST(Asft, PresetsAreThoseOfTheCard) {
  EXPECT_PRESET("asft", "repo", {{"lambda", 1.0}, {"projection", "approximate"}});
  EXPECT_PRESET("asft", "projector", {{"lambda", 1.0}, {"projection", "exact"}});
}

}  // namespace
}  // namespace holdfast
