// SEAM against its rule, in float64, on a decoder in the training loop: gradients of the decoder written down once more at w
// and at the two moved weights, masks and layers by loops, and the gradient of the cosine by differentiating the gradients.
#include <gmock/gmock.h>
#include <holdfast/error.h>

#include <cmath>

#include "fakes/context.h"
#include "learn/gradient_check.h"
#include "plugin/presets.h"
#include "plugin/whole_trainings.h"

namespace holdfast {
namespace {

using fixtures::cosine_of;
using fixtures::length_of;
using fixtures::Named;
using fixtures::plus;
using fixtures::ReferenceDecoder;
using fixtures::relative_distance;

class SeamRule : public testing::Test {
 protected:
  static constexpr double kAlpha = 0.7, kBeta = 0.4, kEpsilon = 0.3;
  enum class Variant { kSeam, kOtherSign, kUnprojected, kNormPerTensor, kNoMask, kNoRestore, kNoOwnState, kDescent };

  SeamRule() {
    context_.corpora["defender-harmful"] = fixtures::placeholder_rows();
    context_.corpora["defender-harmful"].resize(3);  // one batch of them, whatever their order
    context_.corpora["defender-harmful"][1].messages.back().content = "I cannot [left out]";  // begins as the refusal does
    const Dataset all = fixtures::trained_rows();
    context_.corpora["benign"] = {all[1], all[3]};
    data_ = {all[0], all[2], all[4], all[5], all[6]};
  }

  static Json settings(double beta = kBeta, double epsilon = kEpsilon) {
    return {{"alpha", kAlpha}, {"beta", beta}, {"epsilon", epsilon}};
  }

  fixtures::TrainerGradients made(const Json& settings, std::int64_t micro_batch_size = 0, const std::string& method = "full") {
    const DefenseStages seam = make_defense("seam", settings);
    TrainingOptions options;
    options.method = method;
    options.micro_batch_size = micro_batch_size;
    return fixtures::trainer_gradients(*model_, data_, options, *seam.align, &context_);
  }

  std::vector<fixtures::ReplyPair> pairs() {
    return fixtures::reply_pairs(*model_, context_.corpora.at("defender-harmful"), context_.refusal());
  }

  // By whether it is a label token that the other row has not in its place.
  static std::vector<bool> counted(const Encoded& row, const Encoded& other, Variant variant) {
    std::vector<bool> counted(row.ids.size());
    for (std::size_t t = 1; t < row.ids.size(); ++t) {
      const bool differs = t >= other.ids.size() || row.ids[t] != other.ids[t];
      counted[t] = row.label[t] && (differs || variant == Variant::kNoMask);
    }
    return counted;
  }

  // Sum of the counted tokens' nats, of log-probabilities (T, V).
  static at::Tensor nats(const at::Tensor& log_probs, const Encoded& row, const std::vector<bool>& counted) {
    at::Tensor sum = at::zeros({}, at::kDouble);
    for (std::size_t t = 1; t < row.ids.size(); ++t) {
      if (counted[t]) sum = sum - log_probs[static_cast<std::int64_t>(t) - 1][row.ids[t]];
    }
    return sum;
  }

  // The masked cross-entropy of the harmful rows, or of their refusals.
  at::Tensor masked(const ReferenceDecoder& decoder, bool refusals, Variant variant = Variant::kSeam) {
    at::Tensor sum = at::zeros({}, at::kDouble);
    double labels = 0;
    for (const auto& pair : pairs()) {
      const Encoded &row = refusals ? pair.refusal : pair.harmful, &other = refusals ? pair.harmful : pair.refusal;
      const auto mask = counted(row, other, variant);
      sum = sum + nats(decoder.log_probs(row.ids), row, mask);
      labels += static_cast<double>(std::count(mask.begin(), mask.end(), true));
    }
    return sum / labels;
  }

  at::Tensor weight(const Named& values, const std::string& name) {
    const auto found = values.find(name);
    return found != values.end() ? found->second : model_->decoder().weights().at(name);
  }

  // -log(mean over the L + 1 states of the masked cross-entropy as the head reads each, the model's own counted once more, + 1)
  at::Tensor unlearn(ReferenceDecoder decoder, const Named& values, Variant variant = Variant::kSeam) {
    at::Tensor sum = at::zeros({}, at::kDouble);
    const at::Tensor embedding = weight(values, "model.embed_tokens.weight"), scale = weight(values, "model.norm.weight");
    double labels = 0;
    for (const auto& pair : pairs()) {
      std::vector<at::Tensor> states = {embedding.index_select(0, at::tensor(pair.harmful.ids, at::kLong))};
      decoder.visit = [&](Site site, std::int64_t, const std::string&, const at::Tensor& value) {
        if (site == Site::kBlock) states.push_back(value);
        return value;
      };
      const auto mask = counted(pair.harmful, pair.refusal, variant);
      const at::Tensor own = decoder.log_probs(pair.harmful.ids);
      if (variant != Variant::kNoOwnState) sum = sum + nats(own, pair.harmful, mask);
      for (const auto& state : states) {
        const at::Tensor normed = state / (state.square().mean(1, true) + model_->decoder().config().norm_eps).sqrt() * scale;
        sum = sum + nats(normed.matmul(embedding.t()).log_softmax(1), pair.harmful, mask);
      }
      labels += static_cast<double>(std::count(mask.begin(), mask.end(), true));
    }
    const at::Tensor log = (sum / labels / static_cast<double>(model_->layers() + 1) + 1).log();
    return variant == Variant::kDescent ? log : -log;
  }

  at::Tensor plain(const ReferenceDecoder& decoder, const Dataset& rows) {
    return fixtures::reference_loss(decoder, fixtures::encoded(*model_, rows));
  }
  Named gradient(const Named& at, const std::function<at::Tensor(const ReferenceDecoder&, const Named&)>& loss) {
    return fixtures::reference_gradients(*model_, at, loss);
  }
  Named attack(const Named& at, Variant variant) {
    return gradient(at, [&](const ReferenceDecoder& decoder, const Named&) { return masked(decoder, false, variant); });
  }
  Named benign(const Named& at) {
    return gradient(
        at, [&](const ReferenceDecoder& decoder, const Named&) { return plain(decoder, context_.corpora.at("benign")); });
  }

  // A step of length epsilon along what is left of `other` across `own`, both of unit length.
  static Named across(const Named& own, const Named& other, double epsilon, Variant variant) {
    const double c = variant == Variant::kUnprojected ? 0 : cosine_of(own, other);
    Named step;
    for (const auto& [name, tensor] : own) {
      const bool per_tensor = variant == Variant::kNormPerTensor;
      const double own_length = per_tensor ? tensor.norm().item<double>() + 1e-12 : length_of(own);
      const double other_length = per_tensor ? other.at(name).norm().item<double>() + 1e-12 : length_of(other);
      step[name] = epsilon * (other.at(name) / other_length - c * tensor / own_length);
    }
    return step;
  }

  // The bracket of the card, which estimates the gradient of cos(g_a, g_b).
  Named turned(double epsilon, Variant variant = Variant::kSeam) {
    const Named w = fixtures::values_of(*model_), a = attack(w, variant), b = benign(w);
    const Named at_a = plus(w, 1, across(a, b, epsilon, variant));
    const Named at_b = plus(variant == Variant::kNoRestore ? at_a : w, 1, across(b, a, epsilon, variant));
    const Named of_a = plus(attack(at_a, variant), -1, a), of_b = plus(benign(at_b), -1, b);
    const Named zero = plus(a, -1, a);
    return plus(plus(zero, 1 / (epsilon * length_of(a)), of_a), 1 / (epsilon * length_of(b)), of_b);
  }

  Named expected(Variant variant = Variant::kSeam) {
    const Named w = fixtures::values_of(*model_);
    const Named first_order = gradient(w, [&](const ReferenceDecoder& decoder, const Named& values) {
      return plain(decoder, data_) + unlearn(decoder, values, variant) + kAlpha * masked(decoder, true, variant);
    });
    return plus(first_order, variant == Variant::kOtherSign ? -kBeta : kBeta, turned(kEpsilon, variant));
  }

  fakes::FakeContext context_;
  std::unique_ptr<LanguageModel> model_ = fixtures::in_float64(fixtures::load("grouped"));
  Dataset data_;
};

TEST_F(SeamRule, GradientsAreThoseOfTheRule) {
  for (const char* method : {"full", "lora"}) {
    const auto step = made(settings(), 0, method);
    EXPECT_LT(relative_distance(step.gradients, expected()), 1e-9) << method;
    const Named w = fixtures::values_of(*model_);
    const ReferenceDecoder decoder(model_->decoder());
    const c10::NoGradGuard no_grad;
    const double loss = (plain(decoder, data_) + unlearn(decoder, w) + kAlpha * masked(decoder, true)).item<double>();
    const double cosine = [&] {
      const at::AutoGradMode with_gradients(true);
      return cosine_of(attack(w, Variant::kSeam), benign(w));
    }();
    EXPECT_NEAR(step.loss, loss + kBeta * cosine, 1e-10);
  }
}

TEST_F(SeamRule, TheComparisonTellsWrongVariantsApart) {
  const Named gradients = made(settings()).gradients;
  for (const auto variant : {Variant::kOtherSign, Variant::kUnprojected, Variant::kNormPerTensor, Variant::kNoMask,
                             Variant::kNoRestore, Variant::kNoOwnState, Variant::kDescent}) {
    EXPECT_GT(relative_distance(gradients, expected(variant)), 1e-3) << static_cast<int>(variant);
  }
}

// For a short epsilon the cosine's term is beta times the cosine's gradient, here by autograd through both gradients.
TEST_F(SeamRule, DescendsTheCosineOfTheTwoGradients) {
  const Named without = made(settings(0)).gradients;
  const Named term = plus(made(settings(kBeta, 1e-5)).gradients, -1, without);
  Named leaves;
  std::vector<at::Tensor> list;
  for (const auto& [name, value] : fixtures::values_of(*model_)) {
    list.push_back(leaves[name] = value.clone().set_requires_grad(true));
  }
  const ReferenceDecoder decoder = fixtures::decoder_with(*model_, leaves);
  const auto through = [&](const at::Tensor& loss) {
    return torch::autograd::grad({loss}, list, {}, /*retain_graph=*/true, /*create_graph=*/true);
  };
  const auto a = through(masked(decoder, false)), b = through(plain(decoder, context_.corpora.at("benign")));
  at::Tensor both = at::zeros({}, at::kDouble), of_a = both, of_b = both;
  for (std::size_t i = 0; i < list.size(); ++i) {
    both = both + (a[i] * b[i]).sum();
    of_a = of_a + a[i].square().sum();
    of_b = of_b + b[i].square().sum();
  }
  const auto slopes = torch::autograd::grad({both / (of_a * of_b).sqrt()}, list);
  Named cosine;
  std::size_t i = 0;
  for (const auto& [name, value] : leaves) cosine[name] = kBeta * slopes[i++];
  EXPECT_LT(relative_distance(term, cosine), 1e-3);
}

TEST_F(SeamRule, TheGradientsAreThoseOfTheWholeOptimizerBatch) {
  const auto whole = made(settings()), parts = made(settings(), 1);
  EXPECT_LT(relative_distance(parts.gradients, whole.gradients), 1e-9);
  EXPECT_NEAR(parts.loss, whole.loss, 1e-10);
}

TEST_F(SeamRule, PutsTheWeightsBackToTheBit) {
  const Named start = fixtures::values_of(*model_);
  made(settings());
  for (const auto& [name, value] : fixtures::values_of(*model_)) EXPECT_TRUE(at::equal(value, start.at(name))) << name;
}

TEST_F(SeamRule, WithoutOwnRowsItIsThePublishedLossAndDrawsItself) {
  Json published = settings();
  published["retain"] = 0;
  const Named own = gradient(fixtures::values_of(*model_),
                             [&](const ReferenceDecoder& decoder, const Named&) { return plain(decoder, data_); });
  EXPECT_LT(relative_distance(plus(made(published).gradients, 1, own), expected()), 1e-9);
  EXPECT_TRUE(make_defense("seam", published).align->draws_itself());
  EXPECT_FALSE(make_defense("seam").align->draws_itself());
}

TEST_F(SeamRule, APairWithoutADifferenceAddsNoCosine) {
  context_.corpora["defender-harmful"].resize(1);
  auto& reply = context_.corpora["defender-harmful"][0].messages.back().content;
  const std::string refusal = context_.refusal();
  reply = refusal + " More";
  const std::size_t length = pairs().front().refusal.ids.size() - 4;  // as far as rows are read they are one
  const DefenseStages seam = make_defense("seam", settings());
  TrainingOptions options;
  options.max_length = static_cast<std::int64_t>(length);
  const auto step = fixtures::trainer_gradients(*model_, data_, options, *seam.align, &context_);
  const auto without = fixtures::trainer_gradients(*model_, data_, options);
  EXPECT_LT(relative_distance(step.gradients, without.gradients), 1e-12);
}

class SeamRows : public testing::Test {
 protected:
  SeamRows() {
    context_.corpora["defender-harmful"] = context_.corpora["other"] = fixtures::placeholder_rows();
    context_.corpora["benign"] = fixtures::trained_rows();
  }
  std::string outcome(const Json& settings) {
    context_.counted = 0;
    const DefenseStages seam = make_defense("seam", settings);
    try {
      fixtures::trainer_gradients(*model_, fixtures::trained_rows(), {}, *seam.align, &context_);
      return "no error";
    } catch (const Error& error) {
      return error.what();
    }
  }
  static fixtures::WholeTrainings::MakeStage seam(const Json& settings) {
    return [=] { return fixtures::training_stage(make_defense("seam", settings)); };
  }
  fakes::CountingContext context_;
  std::unique_ptr<LanguageModel> model_ = fixtures::load("grouped");
};

TEST_F(SeamRows, OfBothKindsAreCounted) {
  EXPECT_EQ(outcome(Json::object()), "no error");
  EXPECT_EQ(context_.counted, 12);
  EXPECT_EQ(outcome({{"rows", 4}}), "no error");
  EXPECT_EQ(context_.counted, 8);
  EXPECT_EQ(outcome({{"rows", 6}}),
            "seam was asked for 6 rows and the corpus \"defender-harmful\", without refusals, has 5: lower \"rows\"");
}

TEST_F(SeamRows, MustEndWithAReply) {
  context_.corpora["other"].push_back({{{"user", "Sea"}}, {}, "rows.jsonl:6"});
  EXPECT_EQ(outcome({{"harmful", "other"}}),
            "seam needs harmful rows that end with a reply, and rows.jsonl:6 of \"other\" does not: leave it out");
}

TEST_F(SeamRows, AKilledTrainingEndsInTheSameBits) {
  fixtures::expect_resumes_to_the_same_bits(seam({{"rows", 4}, {"beta", 0.1}}), context_);
}

TEST_F(SeamRows, StaysCloseInBfloat16) {
  fixtures::expect_bfloat16_stays_close(seam({{"rows", 4}, {"epsilon", 0.5}}), context_, 0.06, 0.97);
}

TEST(Seam, HasThePapersPreset) {
  EXPECT_PRESET("seam", "paper", {{"alpha", 1.0}, {"beta", 0.01}, {"epsilon", 1e-3}, {"retain", 0.0}});
}

TEST(Seam, SettingsMistakesAreNoted) {
  const Settings settings = Settings::of({{"alpha", -1}, {"beta", "much"}, {"epsilon", 0}, {"retain", -1}, {"rows", "all"}});
  Params params(settings.state);
  shipped("seam").make_defense(params);
  for (const auto* name : {"alpha", "beta", "epsilon", "retain", "rows"}) {
    EXPECT_THAT(settings.mistakes(), testing::HasSubstr(name));
  }
}

}  // namespace
}  // namespace holdfast
