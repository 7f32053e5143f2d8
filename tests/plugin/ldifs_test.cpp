// LDIFS against its loss, in float64 along a training: features of the decoder written down once more, beside those of the one
// that training began with.
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
using fixtures::Named;
using fixtures::ReferenceDecoder;
using fixtures::relative_distance;
using fixtures::stage_with;

struct LdifsTerms {
  double rho = 0.02, gate = 0;
  Site site = Site::kFeedForward;
  std::int64_t every = 1;
  bool mean = false;
};

class LdifsRule : public testing::Test {
 protected:
  static Json settings_of(const LdifsTerms& terms) {
    return {{"rho", terms.rho},
            {"gate", terms.gate},
            {"features", terms.site == Site::kBlock ? "residual" : "feed-forward"},
            {"every", terms.every},
            {"reduction", terms.mean ? "mean" : "sum"}};
  }

  std::vector<FollowedStep> steps(const LdifsTerms& terms, std::int64_t micro_batch_size = 1) {
    model_ = fixtures::in_float64(fixtures::load("grouped"));
    const DefenseStages defense = make_defense("ldifs", settings_of(terms));
    TrainingOptions options = fixtures::short_training();
    options.micro_batch_size = micro_batch_size;
    return fixtures::followed_steps(*model_, data_, {{"ldifs", defense.tune}}, options, context_);
  }

  // What stands in each layer for a row, (T, C).
  static std::vector<at::Tensor> features(ReferenceDecoder decoder, Site wanted, const std::vector<std::int64_t>& ids) {
    std::vector<at::Tensor> found;
    decoder.visit = [&](Site site, std::int64_t, const std::string&, const at::Tensor& value) {
      if (site == wanted) found.push_back(value);
      return value;
    };
    decoder.logits(ids);
    return found;
  }

  // d_l of the layers that may count.
  std::vector<at::Tensor> layer_terms(const ReferenceDecoder& decoder, const Named& start, const std::vector<Encoded>& rows,
                                      const LdifsTerms& terms) {
    std::vector<at::Tensor> sums;
    double tokens = 0;
    for (const auto& row : rows) {
      const auto now = features(decoder, terms.site, row.ids);
      const auto before = features(fixtures::decoder_with(*model_, start), terms.site, row.ids);
      sums.resize(now.size());
      tokens += static_cast<double>(row.ids.size());
      for (std::size_t l = 0; l < now.size(); ++l) {
        const at::Tensor own = (now[l] - before[l].detach()).square().sum();
        sums[l] = sums[l].defined() ? sums[l] + own : own;
      }
    }
    std::vector<at::Tensor> chosen;
    for (std::size_t l = 0; l < sums.size(); ++l) {
      if ((static_cast<std::int64_t>(l) + 1) % terms.every != 0) continue;
      const double elements = terms.mean ? tokens * static_cast<double>(model_->width()) : 1;
      chosen.push_back(terms.rho / 2 * sums[l] / elements);
    }
    return chosen;
  }

  fixtures::Defined expected(const FollowedStep& step, const Named& start, const LdifsTerms& terms) {
    return fixtures::defined_at(*model_, step.before, [&](const ReferenceDecoder& decoder, const Named&) {
      at::Tensor sum = fixtures::reference_loss(decoder, step.rows);
      for (const auto& term : layer_terms(decoder, start, step.rows, terms)) {
        if (terms.gate == 0 || term.item<double>() < terms.gate) sum = sum + term;
      }
      return sum;
    });
  }

  std::vector<double> values(const FollowedStep& step, const Named& start, const std::vector<Encoded>& rows,
                             const LdifsTerms& terms) {
    const c10::NoGradGuard no_grad;
    std::vector<double> made;
    for (const auto& term : layer_terms(fixtures::decoder_with(*model_, step.before), start, rows, terms)) {
      made.push_back(term.item<double>());
    }
    return made;
  }

  FakeContext context_;
  std::unique_ptr<LanguageModel> model_;
  Dataset data_ = fixtures::trained_rows();
};

TEST_F(LdifsRule, DescendsTheLossAndTheDistances) {
  for (const LdifsTerms& terms :
       {LdifsTerms{}, LdifsTerms{.site = Site::kBlock, .every = 2}, LdifsTerms{.rho = 2, .site = Site::kBlock, .mean = true}}) {
    const auto made = steps(terms);
    ASSERT_EQ(made.size(), 4U);
    for (const auto& step : made) {
      fixtures::expect_step_is(step, expected(step, made[0].before, terms), settings_of(terms).dump());
    }
  }
}

TEST_F(LdifsRule, TheComparisonTellsWrongVariantsApart) {
  const auto made = steps({});
  const Named& start = made[0].before;
  for (const LdifsTerms& wrong : {LdifsTerms{.rho = 0.04}, LdifsTerms{.rho = -0.02}, LdifsTerms{.site = Site::kBlock},
                                  LdifsTerms{.every = 2}, LdifsTerms{.mean = true}}) {
    EXPECT_GT(relative_distance(made[3].gradient, expected(made[3], start, wrong).gradient), 1e-3) << settings_of(wrong);
  }
  EXPECT_GT(relative_distance(made[3].gradient, expected(made[3], made[2].before, {}).gradient), 1e-3);
}

// Between the terms of two layers: one counts and the other does not.
TEST_F(LdifsRule, ALayerCountsBelowTheGate) {
  for (const std::int64_t micro_batch_size : {0, 1}) {
    const auto open = steps({}, micro_batch_size);
    auto terms = values(open[1], open[0].before, open[1].rows, {});
    std::sort(terms.begin(), terms.end());
    ASSERT_GT(terms.back(), 1.01 * terms.front());
    const LdifsTerms gated{.gate = (terms.front() + terms.back()) / 2};
    // The first step has no distance and is the same, so that the second begins at the same weights.
    const FollowedStep step = steps(gated, micro_batch_size)[1];
    const auto wanted = expected(step, open[0].before, gated);
    fixtures::expect_step_is(step, wanted, "gate");
    EXPECT_GT(relative_distance(wanted.gradient, open[1].gradient), 1e-4);
  }
}

// A gate that each micro-batch would pass by itself, and the batch does not.
TEST_F(LdifsRule, TheGateIsThatOfTheWholeBatch) {
  const auto open = steps({});
  const auto whole = values(open[1], open[0].before, open[1].rows, {});
  double parts = 0;
  for (const auto& row : open[1].rows) {
    const auto own = values(open[1], open[0].before, {row}, {});
    parts = std::max(parts, *std::max_element(own.begin(), own.end()));
  }
  const double least = *std::min_element(whole.begin(), whole.end());
  const LdifsTerms gated{.gate = std::max(least, 1.001 * parts)};
  ASSERT_LT(gated.gate, *std::max_element(whole.begin(), whole.end()));
  const FollowedStep step = steps(gated)[1];
  fixtures::expect_step_is(step, expected(step, open[0].before, gated), "whole batch");
  EXPECT_GT(relative_distance(step.gradient, open[1].gradient), 1e-4);
}

TEST_F(LdifsRule, BeyondTheGateItIsPlain) {
  const auto step = steps({.gate = 1e-12})[1];
  const auto plain = fixtures::defined_at(*model_, step.before, [&](const ReferenceDecoder& decoder, const Named&) {
    return fixtures::reference_loss(decoder, step.rows);
  });
  fixtures::expect_step_is(step, plain, "beyond");
}

TEST(Ldifs, WithoutStrengthIsPlain) {
  FakeContext context;
  fixtures::expect_strength(stage_with("ldifs", {{"rho", 0}}), stage_with("ldifs", {{"rho", 0.01}, {"gate", 0}}), context);
}

TEST(Ldifs, AKilledTrainingEndsInTheSameBits) {
  FakeContext context;
  fixtures::expect_resumes_to_the_same_bits(stage_with("ldifs", {{"rho", 0.01}}), context);
}

TEST(Ldifs, StaysCloseInBfloat16) {
  FakeContext context;
  fixtures::expect_bfloat16_stays_close(stage_with("ldifs", {{"rho", 1e-4}, {"gate", 0}}), context, 0.05, 0.98);
}

TEST(Ldifs, MoreLayersThanThereAreIsAnError) {
  FakeContext context;
  try {
    fixtures::WholeTrainings(stage_with("ldifs", {{"every", 99}}), context, "full", "float32").undisturbed();
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), "ldifs counts one of every 99 layers and the model has 2: lower \"every\"");
  }
}

TEST(Ldifs, SettingsAreChecked) {
  const Json mistaken = {{"rho", -1}, {"gate", -1}, {"features", "attention"}, {"every", 0}, {"reduction", "max"}};
  const Settings wrong = Settings::of(mistaken);
  Params given(wrong.state);
  EXPECT_NE(shipped("ldifs").make_defense(given).tune, nullptr);
  for (const auto& [name, value] : mistaken.items()) EXPECT_THAT(wrong.mistakes(), testing::HasSubstr("\"" + name + "\""));
}

TEST(Ldifs, PresetsAreThoseOfTheCards) {
  EXPECT_PRESET("ldifs", "repo",
                {{"rho", 1e-4}, {"gate", 0.1}, {"features", "feed-forward"}, {"every", 1}, {"reduction", "sum"}});
  EXPECT_PRESET("ldifs", "residual",
                {{"rho", 2.0}, {"gate", 0.0}, {"features", "residual"}, {"every", 5}, {"reduction", "mean"}});
}

}  // namespace
}  // namespace holdfast
