// The chunked cross-entropy against log_softmax of all logits at once.
#include "learn/label_loss.h"

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <limits>
#include <utility>

namespace holdfast {
namespace {

constexpr std::int64_t kVocabulary = 37, kWidth = 10, kLabels = 7;

struct LossCase {
  at::ScalarType dtype;
  double tolerance, cap;
  std::int64_t rows;  // of a chunk
  bool to_states, to_head;
};

class LabelLoss : public testing::Test {
 protected:
  LabelLoss() {
    auto generator = at::make_generator<at::CPUGeneratorImpl>(3);
    states_ = at::randn({kLabels, kWidth}, generator, at::kDouble).to(at::kBFloat16).to(at::kDouble);
    head_ = at::randn({kVocabulary, kWidth}, generator, at::kDouble).to(at::kBFloat16).to(at::kDouble);
    weights_ = at::rand({kLabels}, generator, at::kDouble);
    labels_ = at::randint(kVocabulary, {kLabels}, generator, at::kLong);
  }

  Predictor predictor(at::ScalarType dtype, double cap, bool to_states, bool to_head) const {
    return {states_.to(dtype, false, true).set_requires_grad(to_states),
            head_.to(dtype, false, true).set_requires_grad(to_head), cap};
  }

  // The definition, in float64.
  at::Tensor defined(const Predictor& of) const {
    at::Tensor logits = of.states.matmul(of.head.t());
    if (of.logit_cap > 0) logits = at::tanh(logits / of.logit_cap) * of.logit_cap;
    return logits.log_softmax(1).gather(1, labels_.unsqueeze(1)).squeeze(1);
  }

  static std::vector<at::Tensor> slopes(const at::Tensor& loss, const Predictor& of) {
    std::vector<at::Tensor> wanted;
    for (const auto& each : {of.states, of.head}) {
      if (each.requires_grad()) wanted.push_back(each);
    }
    return wanted.empty() ? wanted : torch::autograd::grad({loss}, wanted);
  }

  static void expect_near(const at::Tensor& made, const at::Tensor& defined, double tolerance, const std::string& what) {
    EXPECT_EQ(made.sizes(), defined.sizes());
    EXPECT_LT((made.to(at::kDouble) - defined).abs().max().item<double>(), tolerance * defined.abs().max().item<double>())
        << what;
  }

  // Three times, for a slope that is not one.
  void expect_definition(const LossCase& c) const {
    const std::string what = std::string(c10::toString(c.dtype)) + ", cap " + std::to_string(c.cap) + ", rows " +
                             std::to_string(c.rows) + ", gradients " + std::to_string(c.to_states) + std::to_string(c.to_head);
    for (const double times : {1.0, 3.0}) {
      const Predictor own = predictor(c.dtype, c.cap, c.to_states, c.to_head),
                      exact = predictor(at::kDouble, c.cap, c.to_states, c.to_head);
      const at::Tensor exact_log_probs = defined(exact), exact_loss = -(exact_log_probs * weights_).sum() * times;
      const at::Tensor log_probs = label_log_probs(own, labels_, c.rows * kVocabulary + 5);
      const at::Tensor wide = weights_.to(log_probs.scalar_type());
      const at::Tensor loss = label_loss(own, labels_, wide, c.rows * kVocabulary + 5) * times;
      EXPECT_EQ(loss.requires_grad(), c.to_states || c.to_head);
      expect_near(log_probs, exact_log_probs, c.tolerance, what);
      expect_near(loss, exact_loss, c.tolerance, what);
      const auto exact_slopes = slopes(exact_loss, exact), of_loss = slopes(loss, own),
                 of_log_probs = slopes(-(log_probs * wide).sum() * times, own);
      for (std::size_t i = 0; i < exact_slopes.size(); ++i) {
        EXPECT_EQ(of_loss[i].scalar_type(), c.dtype);
        expect_near(of_loss[i], exact_slopes[i], c.tolerance, what);
        expect_near(of_log_probs[i], exact_slopes[i], c.tolerance, what);
      }
    }
  }

  at::Tensor states_, head_, weights_, labels_;
};

TEST_F(LabelLoss, IsThatOfAllLogitsAtOnceWhateverTheChunks) {
  for (const double cap : {0.0, 4.0}) {
    for (const std::int64_t rows : {1, 2, 3, 6, 7, 8}) {
      for (const auto& [to_states, to_head] :
           {std::pair(true, true), std::pair(true, false), std::pair(false, true), std::pair(false, false)}) {
        expect_definition({at::kDouble, 1e-12, cap, rows, to_states, to_head});
        expect_definition({at::kFloat, 2e-6, cap, rows, to_states, to_head});
        expect_definition({at::kBFloat16, 3e-2, cap, rows, to_states, to_head});
      }
    }
  }
}

TEST_F(LabelLoss, OfNoLabelsIsZero) {
  const Predictor own{at::zeros({0, kWidth}).set_requires_grad(true), at::zeros({kVocabulary, kWidth}), 0};
  const at::Tensor none = at::zeros({0}, at::kLong);
  EXPECT_EQ(label_log_probs(own, none).size(0), 0);
  EXPECT_EQ(label_loss(own, none, at::zeros({0})).item<double>(), 0);
}

// Sums over a vocabulary as large as those of today keep float32's precision, with a logit that is far above the others and one
// that is far below.
TEST_F(LabelLoss, HoldsForALargeVocabulary) {
  auto generator = at::make_generator<at::CPUGeneratorImpl>(5);
  at::Tensor head = at::randn({49157, 4}, generator, at::kDouble), states = at::randn({3, 4}, generator, at::kDouble);
  head[11] = states[1] * 20;
  head[12] = states[1] * -60;
  const at::Tensor labels = at::tensor({49156, 12, 0}, at::kLong);
  const at::Tensor exact = states.matmul(head.t()).log_softmax(1).gather(1, labels.unsqueeze(1)).squeeze(1);
  expect_near(label_log_probs({states.to(at::kFloat), head.to(at::kFloat), 0}, labels), exact, 1e-6, "log-probabilities");
}

// A loss that is no number must be seen as such.
TEST_F(LabelLoss, OfNoNumbersIsNone) {
  Predictor own = predictor(at::kFloat, 0, false, false);
  own.states[2][3] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_FALSE(at::isfinite(label_loss(own, labels_, weights_.to(at::kFloat))).item<bool>());
}

// A gradient that is asked for twice is the same, whatever the first asker did with its own.
TEST_F(LabelLoss, GivesItsGradientAgain) {
  const Predictor own = predictor(at::kFloat, 0, true, true);
  const at::Tensor loss = label_loss(own, labels_, weights_.to(at::kFloat)) * 2;
  const auto first = torch::autograd::grad({loss}, {own.states, own.head}, {}, /*retain_graph=*/true);
  const auto second = torch::autograd::grad({loss}, {own.states, own.head});
  EXPECT_TRUE(first[0].equal(second[0]) && first[1].equal(second[1]));
}

}  // namespace
}  // namespace holdfast
