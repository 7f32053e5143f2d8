// Surgery against its definition, in float64: sinks from attention written down once more, head by head, and the gradients of
// the whole loss by autograd.
#include <gmock/gmock.h>

#include <utility>

#include "plugin/presets.h"
#include "plugin/step_by_step.h"

namespace holdfast {
namespace {

using fixtures::Named;
using fixtures::ReferenceDecoder;
using fixtures::relative_distance;
using testing::HasSubstr;

class SurgeryRule : public testing::Test {
 protected:
  static constexpr double kAlpha = 40;
  enum class Variant { kSurgery, kBothSigns, kOtherSign, kSumOfHeads, kFirstQueryToo, kMeanBeforeRelu };

  SurgeryRule() {
    context_.corpora["defender-harmful"] = fixtures::placeholder_rows();
    // As long as the harmful ones, so that some heads give more to the first token on the one kind, some on the other.
    context_.corpora["benign"] = {{{{"user", "[question 1]"}, {"assistant", "Blue, they say: [grey sea]"}}},
                                  {{{"user", "[question 2]"}, {"assistant", "Sky. [some rain] and then [clouds]"}}}};
    for (auto& [name, rows] : context_.corpora) rows.resize(2);  // one batch of them, whatever their order
  }

  fixtures::TrainerGradients made(Json settings, std::int64_t micro_batch_size = 0, const std::string& method = "full") {
    settings["texts"] = 2;
    const DefenseStages surgery = make_defense("surgery", settings);
    TrainingOptions options;
    options.method = method;
    options.micro_batch_size = micro_batch_size;
    return fixtures::trainer_gradients(*model_, data_, options, *surgery.tune, &context_);
  }

  // The share of the first token, mean over queries, of each head of each layer in turn.
  at::Tensor sinks_of(ReferenceDecoder decoder, const Example& text, bool first_query_too) {
    std::vector<at::Tensor> heads;
    at::Tensor keys;
    decoder.visit = [&](Site site, std::int64_t, const std::string&, const at::Tensor& value) {
      if (site == Site::kKey) keys = value;
      if (site != Site::kQuery) return value;
      at::Tensor sum = at::zeros({}, at::kDouble);
      const std::int64_t tokens = value.size(0), first = first_query_too ? 0 : 1;
      for (std::int64_t q = first; q < tokens; ++q) {
        const at::Tensor weights =
            keys.narrow(0, 0, q + 1).mv(value[q]).div(std::sqrt(static_cast<double>(value.size(1)))).exp();
        sum = sum + weights[0] / weights.sum();
      }
      heads.push_back(sum / static_cast<double>(tokens - first));
      return value;
    };
    decoder.log_probs(model_->encode(text.messages).ids);
    return at::stack(heads);
  }

  at::Tensor sinks(const ReferenceDecoder& decoder, const std::string& corpus, bool first_query_too) {
    const Dataset& texts = context_.corpora.at(corpus);
    at::Tensor sum;
    for (const auto& text : texts) {
      const at::Tensor of_text = sinks_of(decoder, text, first_query_too);
      sum = sum.defined() ? sum + of_text : of_text;
    }
    return sum / static_cast<double>(texts.size());
  }

  std::pair<double, Named> expected(Variant variant = Variant::kSurgery) {
    double value = 0;
    const bool first_too = variant == Variant::kFirstQueryToo;
    const Named gradient = fixtures::reference_gradients(
        *model_, fixtures::values_of(*model_), [&](const ReferenceDecoder& decoder, const Named&) {
          at::Tensor excess = sinks(decoder, "defender-harmful", first_too) - sinks(decoder, "benign", first_too);
          if (variant == Variant::kOtherSign) excess = -excess;
          if (variant == Variant::kBothSigns) excess = excess.abs();
          if (variant == Variant::kMeanBeforeRelu) excess = excess.mean();
          excess = excess.relu();
          const at::Tensor counted = variant == Variant::kSumOfHeads ? excess.sum() : excess.mean();
          const at::Tensor sum = fixtures::reference_loss(decoder, fixtures::encoded(*model_, data_)) + kAlpha * counted;
          value = sum.item<double>();
          return sum;
        });
    return {value, gradient};
  }

  fakes::FakeContext context_;
  std::unique_ptr<LanguageModel> model_ = fixtures::in_float64(fixtures::load("grouped"));
  Dataset data_ = fixtures::trained_rows();
};

TEST_F(SurgeryRule, GradientsAreThoseOfTheDefinition) {
  for (const char* method : {"full", "lora"}) {
    const auto step = made({{"alpha", kAlpha}}, 0, method);
    const auto [value, gradient] = expected();
    EXPECT_NEAR(step.loss, value, 1e-10) << method;
    EXPECT_LT(relative_distance(step.gradients, gradient), 1e-10) << method;
    EXPECT_GT(relative_distance(fixtures::plain_gradient(*model_, fixtures::values_of(*model_), data_), step.gradients), 1e-2);
  }
}

TEST_F(SurgeryRule, TheComparisonTellsWrongVariantsApart) {
  const Named gradients = made({{"alpha", kAlpha}}).gradients;
  for (const auto variant :
       {Variant::kBothSigns, Variant::kOtherSign, Variant::kSumOfHeads, Variant::kFirstQueryToo, Variant::kMeanBeforeRelu}) {
    EXPECT_GT(relative_distance(gradients, expected(variant).second), 1e-3) << static_cast<int>(variant);
  }
}

TEST_F(SurgeryRule, TheExcessIsOfTheWholeBatches) {
  const auto whole = made({{"alpha", kAlpha}}), parts = made({{"alpha", kAlpha}}, 1);
  EXPECT_LT(relative_distance(parts.gradients, whole.gradients), 1e-11);
  EXPECT_NEAR(parts.loss, whole.loss, 1e-11);
}

TEST_F(SurgeryRule, OnlyHeadsWithAnExcessCount) {
  const auto decoder = fixtures::decoder_with(*model_, fixtures::values_of(*model_));
  const at::Tensor more = sinks(decoder, "defender-harmful", false) > sinks(decoder, "benign", false);
  EXPECT_GT(more.sum().item<std::int64_t>(), 0);
  EXPECT_LT(more.sum().item<std::int64_t>(), more.numel());
}

TEST_F(SurgeryRule, EqualTextsCostNothing) {
  context_.corpora["benign"] = context_.corpora["defender-harmful"];
  const auto step = made({{"alpha", kAlpha}});
  EXPECT_LT(relative_distance(step.gradients, fixtures::plain_gradient(*model_, fixtures::values_of(*model_), data_)), 1e-11);
}

// The defender's rows add up, as in a stage.
class Counting final : public fakes::FakeContext {
 public:
  void report(const std::string& name, double value, std::int64_t) override {
    if (name == kDefenderRows) sum_ += value;
  }
  double taken_out() { return std::exchange(sum_, 0); }

 private:
  double sum_ = 0;
};

class SurgeryTraining : public testing::Test {
 protected:
  SurgeryTraining() {
    context_.corpora["defender-harmful"] = fixtures::placeholder_rows();
    context_.corpora["benign"] = fixtures::trained_rows();
  }
  static fixtures::WholeTrainings::MakeStage surgery(double alpha) {
    return [alpha] { return fixtures::training_stage(make_defense("surgery", {{"alpha", alpha}, {"rows", 4}})); };
  }
  std::string outcome(const Json& settings) {
    const auto model = fixtures::load("grouped");
    return fixtures::error_of(*model, *make_defense("surgery", settings).tune, context_);
  }
  Counting context_;
};

TEST_F(SurgeryTraining, WithoutWeightIsPlain) { fixtures::expect_plain_training(surgery(0), surgery(300), context_); }

TEST_F(SurgeryTraining, KilledEndsInTheSameBits) { fixtures::expect_resumes_to_the_same_bits(surgery(30), context_); }

TEST_F(SurgeryTraining, StaysCloseInBfloat16) { fixtures::expect_bfloat16_stays_close(surgery(3), context_, 0.05, 0.98); }

TEST_F(SurgeryTraining, CountsBothKindsOfRows) {
  EXPECT_EQ(outcome(Json::object()), "no error");
  EXPECT_EQ(context_.taken_out(), 12);
  EXPECT_EQ(outcome({{"rows", 3}}), "no error");
  EXPECT_EQ(context_.taken_out(), 6);
  EXPECT_EQ(outcome({{"rows", 6}}), "surgery was asked for 6 rows and the corpus \"defender-harmful\" has 5: lower \"rows\"");
  context_.taken_out();
  context_.corpora["ordinary"] = {context_.corpora["benign"].front()};
  EXPECT_EQ(outcome({{"harmless", "ordinary"}}), "no error");
  EXPECT_EQ(context_.taken_out(), 6);
}

TEST(Surgery, SettingsMistakesAreNotedAndPresetsAreThoseOfTheCard) {
  const std::string mistakes = fixtures::mistakes_of("surgery", {{"alpha", -1}, {"texts", 0}, {"rows", "all"}});
  for (const char* name : {"alpha", "texts", "rows"}) EXPECT_THAT(mistakes, HasSubstr(name));
  EXPECT_PRESET("surgery", "repo", {{"alpha", 300.0}, {"texts", 1}, {"rows", 1000}});
}

}  // namespace
}  // namespace holdfast
