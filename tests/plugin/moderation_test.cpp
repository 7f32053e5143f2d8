#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <holdfast/error.h>
#include <holdfast/moderation.h>

#include <cmath>
#include <map>

#include "base/params_state.h"
#include "fakes/context.h"
#include "fakes/model.h"

namespace holdfast {
namespace {

using fakes::FakeContext;
using fakes::FakeModel;

constexpr int kWidth = 24;

double gaussian(Random& random) {
  const double u = 1 - random.uniform(), v = random.uniform();
  return std::sqrt(-2 * std::log(u)) * std::cos(2 * M_PI * v);
}

// "h<n>" lies around +distance/2 on three axes, everything else around -distance/2; every axis has noise of its own scale.
FakeModel clouds(double distance) {
  return FakeModel([distance](const std::string& text) {
    Random random(derive_seed(3, text));
    std::vector<float> point;
    for (int axis = 0; axis < kWidth; ++axis) {
      const double centre = axis < 3 ? (text[0] == 'h' ? distance : -distance) / 2 : 0;
      point.push_back(static_cast<float>((1 + axis) * (centre + gaussian(random)) + 100));
    }
    return point;
  });
}

Example row_of_kind(const std::string& text, const std::string& kind) {
  return {{{"user", text}, {"assistant", "a reply"}}, {{"kind", kind}}};
}

std::string name(char first, int number) {
  std::string text(1, first);
  return text += std::to_string(number);
}

Dataset rows(int harmful, int benign) {
  Dataset data;
  for (int i = 0; i < harmful; ++i) data.push_back(row_of_kind(name('h', i), "harmful"));
  for (int i = 0; i < benign; ++i) data.push_back(row_of_kind(name('b', i), "benign"));
  return data;
}

std::vector<std::string> unseen(char first) {
  std::vector<std::string> texts;
  for (int i = 1000; i < 1200; ++i) texts.push_back(name(first, i));
  return texts;
}

double share_above_half(const std::vector<double>& scores) {
  return std::count_if(scores.begin(), scores.end(), [](double score) { return score > 0.5; }) /
         static_cast<double>(scores.size());
}

TEST(HarmProbe, SeparatesTwoClouds) {
  FakeModel model = clouds(4);
  const HarmProbe probe = HarmProbe::fit(model, rows(90, 90), 5);
  EXPECT_GE(share_above_half(probe.scores(model, unseen('h'))), 0.95);
  EXPECT_LE(share_above_half(probe.scores(model, unseen('b'))), 0.05);
  EXPECT_EQ(probe.held_out(), 36);
  EXPECT_GE(probe.precision(), 0.9);
  EXPECT_GE(probe.recall(), 0.9);
}

TEST(HarmProbe, HeldOutFiguresAreOfRowsItDidNotFit) {
  // With no difference between the clouds a wide probe still fits its own rows; held-out figures must stay near chance.
  FakeModel model = clouds(0);
  const HarmProbe probe = HarmProbe::fit(model, rows(100, 100), 5);
  EXPECT_EQ(probe.held_out(), 40);
  EXPECT_NEAR(probe.recall(), 0.5, 0.3);
  EXPECT_NEAR(probe.precision(), 0.5, 0.3);
}

TEST(HarmProbe, PrecisionAndRecallAreNotSwapped) {
  // Harmful requests that look benign cost recall and leave precision whole.
  FakeModel model([](const std::string& text) {
    const bool looks_harmful = text[0] == 'h' && std::stoi(text.substr(1)) % 2 == 0;
    return std::vector<float>{looks_harmful ? 1.0F : -1.0F, 0.0F};
  });
  const HarmProbe probe = HarmProbe::fit(model, rows(60, 100), 2);
  EXPECT_EQ(probe.precision(), 1);
  EXPECT_GT(probe.recall(), 0.1);
  EXPECT_LT(probe.recall(), 0.9);
}

TEST(HarmProbe, ReachesTheMinimumOfThePenalisedLikelihood) {
  // One feature that takes two values: the optimum is a single scalar equation, solved here by bisection. 8 of 10 distinct
  // requests a class are fitted; after standardising they sit at +1 and -1, and the free bias is zero by symmetry.
  FakeModel model([](const std::string& text) { return std::vector<float>{text[0] == 'h' ? 7.0F : 3.0F}; });
  const HarmProbe probe = HarmProbe::fit(model, rows(10, 10), 1);
  double low = 0, high = 50;
  for (int i = 0; i < 200; ++i) {
    const double w = (low + high) / 2;
    (w < 16 / (1 + std::exp(w)) ? low : high) = w;
  }
  EXPECT_NEAR(probe.scores(model, {"h77"})[0], 1 / (1 + std::exp(-low)), 1e-6);
  EXPECT_NEAR(probe.scores(model, {"b77"})[0], 1 / (1 + std::exp(low)), 1e-6);
}

// Many features: at the fitted weights the gradient of sum(log loss) + |w|^2 / 2 vanishes. Scores tell the weights, for their
// logits are affine in the standardised features.
TEST(HarmProbe, HasNoGradientLeftAtItsWeights) {
  std::vector<std::vector<double>> asked;  // features in the order they were asked for: the fitted rows come first
  std::map<std::string, std::vector<float>> places;
  FakeModel inner = clouds(0.7);
  FakeModel model([&](const std::string& text) {
    std::vector<float> point = places.contains(text) ? places[text] : inner.hidden(text);
    asked.emplace_back(point.begin(), point.end());
    return point;
  });
  const int rows_a_class = 90;
  const HarmProbe probe = HarmProbe::fit(model, rows(rows_a_class, rows_a_class), 4);
  const std::size_t fitted = 2 * rows_a_class - static_cast<std::size_t>(probe.held_out());
  const std::vector<std::vector<double>> x(asked.begin(), asked.begin() + static_cast<std::ptrdiff_t>(fitted));

  std::vector<double> mean(kWidth), scale(kWidth);
  for (int j = 0; j < kWidth; ++j) {
    for (const auto& row : x) mean[j] += row[j] / static_cast<double>(fitted);
    for (const auto& row : x) scale[j] += std::pow(row[j] - mean[j], 2) / static_cast<double>(fitted);
    scale[j] = std::sqrt(scale[j]);
  }
  std::vector<float> middle(mean.begin(), mean.end());
  const auto logit_at = [&](const std::vector<float>& point) {
    places["place"] = point;
    const double p = probe.scores(model, {"place"})[0];
    return std::log(p / (1 - p));
  };
  std::vector<double> w(kWidth);
  double bias = logit_at(middle), size = 0;
  const double at_middle = bias;
  for (int j = 0; j < kWidth; ++j) {
    std::vector<float> moved = middle;
    moved[j] += static_cast<float>(scale[j]);
    w[j] = (logit_at(moved) - at_middle) * scale[j] / (static_cast<double>(moved[j]) - middle[j]);
    bias -= w[j] * (middle[j] - mean[j]) / scale[j];  // `middle` is the mean rounded
    size += w[j] * w[j];
  }
  ASSERT_GT(size, 0.5);  // or the penalty alone would pass
  std::vector<double> slope = w;
  double bias_slope = 0;
  for (std::size_t i = 0; i < fitted; ++i) {
    double z = bias;
    for (int j = 0; j < kWidth; ++j) z += w[j] * (x[i][j] - mean[j]) / scale[j];
    const double residual = 1 / (1 + std::exp(-z)) - (i < fitted / 2 ? 1 : 0);
    for (int j = 0; j < kWidth; ++j) slope[j] += residual * (x[i][j] - mean[j]) / scale[j];
    bias_slope += residual;
  }
  for (int j = 0; j < kWidth; ++j) EXPECT_NEAR(slope[j], 0, 1e-4) << "feature " << j;
  EXPECT_NEAR(bias_slope, 0, 1e-4);
}

// Twice as many features as rows, where the fit over the rows is the smaller problem: it has the minimum of the one over the
// features, here by Newton's method as it is defined.
TEST(HarmProbe, IsTheSameOverRowsAsOverFeatures) {
  constexpr std::int64_t kFeatures = 64;
  FakeModel model([](const std::string& text) {
    Random random(derive_seed(8, text));
    std::vector<float> point;
    for (int i = 0; i < kFeatures; ++i) point.push_back(static_cast<float>(gaussian(random) + (text[0] == 'h' ? 0.3 : 0)));
    return point;
  });
  const auto of = [&](const std::vector<std::string>& texts) {
    std::vector<Conversation> requests;
    for (const auto& text : texts) requests.push_back({{"user", text}});
    return model.mean_hidden(requests).to(at::kDouble);
  };
  std::vector<std::string> asked;
  const HarmProbe::Features features = [&](const std::vector<std::string>& texts) {
    if (asked.empty()) asked = texts;  // the fitted rows come first
    return of(texts);
  };
  const HarmProbe probe = HarmProbe::fit(features, rows(20, 20), 3);
  ASSERT_EQ(asked.size(), 32u);
  const at::Tensor raw = of(asked), mean = raw.mean(0), scale = (raw - mean).pow(2).mean(0).sqrt();
  const at::Tensor x = at::cat({(raw - mean) / scale, at::ones({32, 1}, at::kDouble)}, 1);
  const at::Tensor y = at::cat({at::ones({16}, at::kDouble), at::zeros({16}, at::kDouble)});
  at::Tensor ridge = at::ones({kFeatures + 1}, at::kDouble), w = at::zeros({kFeatures + 1}, at::kDouble);
  ridge[-1] = 1e-6;
  for (int round = 0; round < 50; ++round) {
    const at::Tensor p = at::sigmoid(x.matmul(w));
    const at::Tensor hessian = x.t().matmul((p * (1 - p)).unsqueeze(1) * x) + at::diag(ridge);
    w = w - at::linalg_solve(hessian, x.t().matmul(p - y) + ridge * w);
  }
  const auto unseen_texts = unseen('h');
  const at::Tensor at_unseen = at::cat({(of(unseen_texts) - mean) / scale, at::ones({200, 1}, at::kDouble)}, 1);
  const at::Tensor expected = at::sigmoid(at_unseen.matmul(w));
  const auto scores = probe.scores(model, unseen_texts);
  for (std::size_t i = 0; i < scores.size(); ++i) {
    EXPECT_NEAR(scores[i], expected[static_cast<std::int64_t>(i)].item<double>(), 1e-8);
  }
}

// A context that keeps numbers, as a run's does.
class KeepingContext : public FakeContext {
 public:
  std::vector<double> kept_of_aligned(const std::string& about, const std::function<std::vector<double>()>& find) override {
    if (!kept.contains(about)) kept[about] = find();
    return kept[about];
  }
  std::map<std::string, std::vector<double>> kept;
};

TEST(HarmProbe, IsFittedOnceForAModelItsRowsAndASeed) {
  FakeModel model = clouds(2);
  KeepingContext context;
  context.aligned = &model;
  const HarmProbe fitted = HarmProbe::fit(context, rows(60, 60));
  const auto asked = model.asked;
  EXPECT_EQ(asked, 120u);
  const HarmProbe again = HarmProbe::fit(context, rows(60, 60));
  EXPECT_EQ(model.asked, asked);
  const HarmProbe plain = HarmProbe::fit(model, rows(60, 60), context.seed("probe"));
  const auto scores = plain.scores(model, unseen('h'));
  for (const auto* probe : {&fitted, &again}) {
    EXPECT_EQ(probe->scores(model, unseen('h')), scores);
    EXPECT_EQ(probe->precision(), plain.precision());
    EXPECT_EQ(probe->recall(), plain.recall());
    EXPECT_EQ(probe->held_out(), plain.held_out());
  }
  Dataset turned = rows(60, 60);  // the same texts, of which one is harmless now
  turned[0].tags["kind"] = "benign";
  context.cell_seed = 1;
  HarmProbe::fit(context, turned);
  EXPECT_EQ(context.kept.size(), 2u);
  context.cell_seed = 2;
  HarmProbe::fit(context, turned);
  EXPECT_EQ(context.kept.size(), 3u);
}

TEST(HarmProbe, RepeatsExactly) {
  FakeModel model = clouds(2);
  const auto once = HarmProbe::fit(model, rows(60, 60), 9).scores(model, unseen('h'));
  EXPECT_EQ(once, HarmProbe::fit(model, rows(60, 60), 9).scores(model, unseen('h')));
  EXPECT_NE(once, HarmProbe::fit(model, rows(60, 60), 10).scores(model, unseen('h')));
}

TEST(HarmProbe, TakesFeaturesInPlaceOfTheModelsStates) {
  FakeModel model = clouds(4);
  const auto features = [&](const std::vector<std::string>& requests) {
    std::vector<Conversation> asked;
    for (const auto& request : requests) asked.push_back({{"user", request}});
    return model.mean_hidden(asked) * 3 + 1;
  };
  const auto scores = HarmProbe::fit(features, rows(60, 60), 9).scores(features(unseen('h')));
  const auto plain = HarmProbe::fit(model, rows(60, 60), 9).scores(model, unseen('h'));
  ASSERT_EQ(scores.size(), plain.size());
  for (std::size_t i = 0; i < plain.size(); ++i) EXPECT_NEAR(scores[i], plain[i], 1e-4);  // standardised, in float32
}

TEST(HarmProbe, AsksTheModelForAtMostEightHundredDistinctRequests) {
  FakeModel model = clouds(4);
  HarmProbe::fit(model, rows(500, 700), 5);
  EXPECT_EQ(model.asked, 800U);
  model.asked = 0;
  Dataset repeated = rows(10, 10);
  for (int i = 0; i < 5; ++i) repeated.push_back(repeated[0]);
  HarmProbe::fit(model, repeated, 5);
  EXPECT_EQ(model.asked, 20U);
}

TEST(HarmProbe, NeedsBothClasses) {
  FakeModel model = clouds(4);
  for (const auto& data : {rows(0, 20), rows(20, 0)}) {
    try {
      HarmProbe::fit(model, data, 5);
      FAIL() << "no error";
    } catch (const Error& error) {
      EXPECT_THAT(error.what(), testing::HasSubstr("needs at least two different"));
    }
  }
}

}  // namespace
}  // namespace holdfast
