// The KL anchor against its losses, in float64 along a training: divergences of the decoder written down once more from the one
// that training began with.
#include <gmock/gmock.h>
#include <holdfast/error.h>
#include <holdfast/moderation.h>

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
using fixtures::ReferenceDecoder;
using fixtures::relative_distance;
using fixtures::stage_with;

class KlAnchorRule : public testing::Test {
 protected:
  static constexpr double kLambda = 0.6;

  static Json settings_of(const DivergenceTerms& terms) {
    return {{"lambda", kLambda},
            {"softmax", terms.over_positions ? "positions" : "vocabulary"},
            {"positions", terms.everywhere ? "all" : "answer"},
            {"reduction", terms.token_mean ? "token-mean" : "batch-sum"}};
  }

  std::vector<FollowedStep> steps(const Json& settings, std::int64_t micro_batch_size = 1) {
    model_ = fixtures::in_float64(fixtures::load("grouped"));
    const DefenseStages defense = make_defense("kl-anchor", settings);
    TrainingOptions options = fixtures::short_training();
    options.micro_batch_size = micro_batch_size;
    return fixtures::followed_steps(*model_, data_, {{"kl-anchor", defense.tune}}, options, context_);
  }

  fixtures::Defined expected(const FollowedStep& step, const Named& start, const DivergenceTerms& terms,
                             double lambda = kLambda) {
    return fixtures::defined_at(*model_, step.before, [&](const ReferenceDecoder& decoder, const Named&) {
      const ReferenceDecoder reference = fixtures::decoder_with(*model_, start);
      return fixtures::reference_loss(decoder, step.rows) +
             lambda * fixtures::reference_divergence(decoder, reference, step.rows, terms);
    });
  }

  FakeContext context_;
  std::unique_ptr<LanguageModel> model_;
  Dataset data_ = fixtures::trained_rows();
};

TEST_F(KlAnchorRule, DescendsTheLossAndTheDivergence) {
  for (const bool everywhere : {true, false}) {
    for (const bool over_positions : {true, false}) {
      for (const bool token_mean : {true, false}) {
        const DivergenceTerms terms{everywhere, over_positions, token_mean};
        const auto made = steps(settings_of(terms));
        ASSERT_EQ(made.size(), 4U);
        for (const std::size_t i : {0, 1, 3}) {
          fixtures::expect_step_is(made[i], expected(made[i], made[0].before, terms), settings_of(terms).dump());
        }
      }
    }
  }
}

TEST_F(KlAnchorRule, TheComparisonTellsWrongVariantsApart) {
  const auto made = steps(settings_of({}));
  const FollowedStep& step = made.back();
  const Named& start = made[0].before;
  for (const auto& wrong : {expected(step, start, {.other_way = true}), expected(step, start, {.over_positions = true}),
                            expected(step, start, {.token_mean = true}), expected(step, start, {.everywhere = false}),
                            expected(step, start, {}, -kLambda), expected(step, made[2].before, {})}) {
    EXPECT_GT(relative_distance(step.gradient, wrong.gradient), 1e-3);
  }
}

TEST_F(KlAnchorRule, BeginsAtThePlainLoss) {
  for (const bool over_positions : {true, false}) {
    const auto step = steps(settings_of({.over_positions = over_positions})).front();
    const auto plain = expected(step, step.before, {}, 0);
    fixtures::expect_step_is(step, plain, over_positions ? "positions" : "vocabulary");
  }
}

TEST_F(KlAnchorRule, MicroBatchesAddUpToTheBatch) {
  for (const DivergenceTerms& terms : {DivergenceTerms{}, DivergenceTerms{true, true, true}}) {
    const auto parts = steps(settings_of(terms), 1), whole = steps(settings_of(terms), 0);
    EXPECT_NEAR(parts[1].loss, whole[1].loss, 1e-10);
    EXPECT_LT(relative_distance(parts[1].gradient, whole[1].gradient), 1e-8);
  }
}

// Lisa draws, from her two datasets in turn, and adds her pull; the rows of either state are held near the reference.
TEST_F(KlAnchorRule, ComposesWithLisa) {
  constexpr double kRho = 1.5;
  context_.alignment_rows = fixtures::alignment_rows();
  model_ = fixtures::in_float64(fixtures::load("grouped"));
  const DefenseStages anchor = make_defense("kl-anchor", settings_of({}));
  const DefenseStages lisa = make_defense("lisa", {{"safety_steps", 2}, {"user_steps", 2}, {"rho", kRho}});
  const auto made = fixtures::followed_steps(*model_, data_, {{"kl-anchor", anchor.tune}, {"lisa", lisa.tune}},
                                             fixtures::short_training(), context_);
  ASSERT_EQ(made.size(), 4U);
  for (std::size_t i = 0; i < made.size(); ++i) {
    const Named& start = made[0].before;
    const Named& other = made[i < 2 ? 0 : 2].before;  // the weights at the last switch
    auto wanted = fixtures::defined_at(*model_, made[i].before, [&](const ReferenceDecoder& decoder, const Named& w) {
      at::Tensor sum =
          fixtures::reference_loss(decoder, made[i].rows) +
          kLambda * fixtures::reference_divergence(decoder, fixtures::decoder_with(*model_, start), made[i].rows, {});
      for (const auto& [name, value] : w) sum = sum + kRho / 2 * (value - other.at(name)).square().sum();
      return sum;
    });
    fixtures::expect_step_is(made[i], wanted, std::to_string(i));
  }
}

TEST_F(KlAnchorRule, IsRefusedBehindLisa) {
  context_.alignment_rows = fixtures::alignment_rows();
  model_ = fixtures::in_float64(fixtures::load("grouped"));
  const DefenseStages anchor = make_defense("kl-anchor", settings_of({}));
  const DefenseStages lisa = make_defense("lisa", {{"safety_steps", 2}, {"user_steps", 2}});
  try {
    fixtures::followed_steps(*model_, data_, {{"lisa", lisa.tune}, {"kl-anchor", anchor.tune}}, fixtures::short_training(),
                             context_);
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), testing::AllOf(testing::HasSubstr("\"lisa\""), testing::HasSubstr("\"kl-anchor\"")));
  }
}

// Adaptive: rows that look like refused requests, and others.
class AdaptiveKl : public KlAnchorRule {
 protected:
  AdaptiveKl() {
    for (int i = 0; i < 6; ++i) {
      const std::string number = std::to_string(i);
      context_.alignment_rows.push_back(
          {{{"user", "[restricted " + number + "] now, at once!"}, {"assistant", "No."}}, {{"kind", "harmful"}}});
      context_.alignment_rows.push_back({{{"user", "Name " + number}, {"assistant", "Blue"}}, {{"kind", "benign"}}});
    }
    data_.resize(3);
    data_.push_back({{{"user", "[restricted 7] now, at once!"}, {"assistant", "Sure: [left out]"}}});
    data_.push_back({{{"user", "[restricted 8] now, at once!"}, {"assistant", "Gladly, [left out]"}}});
    data_.push_back({{{"user", "Name 9"}, {"assistant", "Red it is"}}});
  }

  // The mean over these tokens and over all hidden states, from the definition; values: the weights of the model before tuning.
  static std::vector<float> features(const LanguageModel& model, const Named& values, const std::vector<std::int64_t>& ids) {
    const c10::NoGradGuard no_grad;
    at::Tensor sum = values.at("model.embed_tokens.weight").index_select(0, at::tensor(ids, at::kLong)), last;
    ReferenceDecoder decoder = fixtures::decoder_with(model, values);
    decoder.visit = [&](Site site, std::int64_t layer, const std::string&, const at::Tensor& value) {
      if (site == Site::kBlock && layer + 1 < model.layers()) sum = sum + value;
      if (site == Site::kBlock) last = value;
      return value;
    };
    decoder.logits(ids);
    const double eps = model.decoder().config().norm_eps;
    sum = sum + last / (last.square().mean(1, true) + eps).sqrt() * values.at("model.norm.weight");
    const at::Tensor mean = (sum / (model.layers() + 1)).mean(0).to(at::kFloat).contiguous();
    return {mean.data_ptr<float>(), mean.data_ptr<float>() + mean.numel()};
  }

  static at::Tensor stacked(const std::vector<std::vector<float>>& rows) {
    std::vector<at::Tensor> tensors;
    for (const auto& row : rows) tensors.push_back(at::tensor(row));
    return at::stack(tensors);
  }

  // Which rows are at risk.
  std::vector<bool> at_risk(const Named& start, const std::vector<Encoded>& rows) {
    const auto of_requests = [&](const std::vector<std::string>& requests) {
      std::vector<std::vector<float>> made;
      for (const auto& request : requests) made.push_back(features(*model_, start, model_->encode_prompt({{"user", request}})));
      return stacked(made);
    };
    const HarmProbe probe = HarmProbe::fit(of_requests, context_.alignment_rows, context_.seed("probe"));
    std::vector<bool> risks;
    for (const auto& row : rows) {
      const auto end = std::find(row.label.begin(), row.label.end(), true) - row.label.begin();
      const std::vector<std::int64_t> prompt(row.ids.begin(), row.ids.begin() + end);
      risks.push_back(probe.scores(stacked({features(*model_, start, prompt)})).front() > 0.5);
    }
    return risks;
  }

  // Mean over label tokens of w_sft CE + w_kl KL, with the weights of each token's row.
  fixtures::Defined adaptive(const FollowedStep& step, const Named& start, const std::vector<bool>& risks, double low,
                             double high) {
    return fixtures::defined_at(*model_, step.before, [&](const ReferenceDecoder& decoder, const Named&) {
      const DivergenceTerms terms{.everywhere = false, .token_mean = true};
      at::Tensor sum = at::zeros({}, at::kDouble);
      double labels = 0;
      for (std::size_t i = 0; i < step.rows.size(); ++i) {
        const double own = fixtures::positions_of(step.rows[i], terms), w_kl = risks[i] ? high : low;
        sum = sum + (1 - w_kl) * own * fixtures::reference_loss(decoder, {step.rows[i]}) +
              w_kl * fixtures::row_divergence(decoder, fixtures::decoder_with(*model_, start), step.rows[i], terms);
        labels += own;
      }
      return sum / labels;
    });
  }

  Json settings_ = {{"risk", "probe"}, {"positions", "answer"}, {"reduction", "token-mean"}};
};

TEST_F(AdaptiveKl, WeighsEachRowByItsRisk) {
  const auto made = steps(settings_);
  ASSERT_EQ(made.size(), 3U);
  int risky = 0, harmless = 0;
  for (const auto& step : made) {
    const auto risks = at_risk(made[0].before, step.rows);
    for (const bool risk : risks) ++(risk ? risky : harmless);
    fixtures::expect_step_is(step, adaptive(step, made[0].before, risks, 0.1, 0.9), "adaptive");
  }
  EXPECT_GE(risky, 2);
  EXPECT_GE(harmless, 2);
  EXPECT_EQ(context_.reports.at("defender-rows").value, 12);
  EXPECT_GT(context_.reports.at("probe.recall").n, 0);
}

TEST_F(AdaptiveKl, WeightsAreSettings) {
  settings_.update({{"low", 0.2}, {"high", 0.7}});
  const auto made = steps(settings_, 0);
  const auto risks = at_risk(made[0].before, made[1].rows);
  fixtures::expect_step_is(made[1], adaptive(made[1], made[0].before, risks, 0.2, 0.7), "weights");
  EXPECT_GT(relative_distance(made[1].gradient, adaptive(made[1], made[0].before, risks, 0.7, 0.2).gradient), 1e-2);
}

TEST_F(AdaptiveKl, NeedsBothKindsOfRequest) {
  std::erase_if(context_.alignment_rows, [](const auto& row) { return row.tags.at("kind") == "harmful"; });
  try {
    steps(settings_);
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), testing::HasSubstr("tag harmful rows with kind \"harmful\", or do without a probe"));
  }
}

TEST(KlAnchor, WithoutWeightIsPlain) {
  FakeContext context;
  fixtures::expect_strength(stage_with("kl-anchor", {{"lambda", 0}}), stage_with("kl-anchor", {{"lambda", 0.01}}), context);
}

TEST(KlAnchor, AKilledTrainingEndsInTheSameBits) {
  FakeContext context;
  context.alignment_rows = fixtures::alignment_rows();
  fixtures::expect_resumes_to_the_same_bits(stage_with("kl-anchor", {{"lambda", 0.1}}), context);
  fixtures::expect_resumes_to_the_same_bits(stage_with("kl-anchor", {{"risk", "probe"}, {"positions", "answer"}}), context);
}

TEST(KlAnchor, StaysCloseInBfloat16) {
  FakeContext context;
  for (const char* softmax : {"vocabulary", "positions"}) {
    const Json settings = {{"lambda", 0.1}, {"reduction", "token-mean"}, {"softmax", softmax}};
    fixtures::expect_bfloat16_stays_close(stage_with("kl-anchor", settings), context, 0.05, 0.98);
  }
}

TEST(KlAnchor, SettingsAreChecked) {
  const Json mistaken = {{"lambda", -1},   {"softmax", "tokens"}, {"positions", "none"}, {"reduction", "sum"},
                         {"risk", "some"}, {"low", -1},           {"high", 2},           {"rows", -1}};
  const Settings wrong = Settings::of(mistaken);
  Params given(wrong.state);
  EXPECT_NE(shipped("kl-anchor").make_defense(given).tune, nullptr);
  for (const auto& [name, value] : mistaken.items()) EXPECT_THAT(wrong.mistakes(), testing::HasSubstr("\"" + name + "\""));
}

TEST(KlAnchor, PresetsAreThoseOfTheCards) {
  for (const auto& [preset, softmax] : {std::pair{"repo", "positions"}, {"vocab", "vocabulary"}}) {
    EXPECT_PRESET("kl-anchor", preset,
                  {{"risk", "none"}, {"lambda", 1e-3}, {"softmax", softmax}, {"positions", "all"}, {"reduction", "batch-sum"}});
  }
  EXPECT_PRESET("kl-anchor", "adaptive",
                {{"risk", "probe"},
                 {"low", 0.1},
                 {"high", 0.9},
                 {"softmax", "vocabulary"},
                 {"positions", "answer"},
                 {"reduction", "token-mean"}});
}

}  // namespace
}  // namespace holdfast
