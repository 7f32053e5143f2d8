#include <gtest/gtest.h>
#include <holdfast/testing.h>

namespace {

using holdfast::FakeTrainer;
using holdfast::GivenSettings;

// A defense of whichever training stage it is.
holdfast::TrainingStage& stage_of(const holdfast::DefenseStages& defense) {
  if (defense.align != nullptr) return *defense.align;
  return *defense.tune;
}

// The loss of row i is half of (i + 1) |w|^2, so that its gradient is (i + 1) w.
at::Tensor loss_at(const at::Tensor& w, const holdfast::Batch& batch) {
  double sum = 0;
  for (const auto row : batch.rows) sum += static_cast<double>(row) + 1;
  return w.pow(2).sum() * (sum / batch.normalizer / 2);
}

at::Tensor gradient_of_a_step(double rho, const at::Tensor& start) {
  at::Tensor w = start.clone().set_requires_grad(true);
  FakeTrainer trainer(
      {w}, [&](const holdfast::Batch& batch) { return loss_at(w, batch); }, /*rows=*/3);
  const auto defense = make_defense(GivenSettings({{"rho", rho}}));
  stage_of(defense).step(trainer);
  EXPECT_TRUE(at::equal(w.detach(), start)) << "the weights are where they were";
  return w.grad();
}

TEST(FlatSteps, TakesTheGradientFurtherUphill) {
  const at::Tensor w = at::tensor({3.0, -4.0}, at::kDouble);
  // The mean over three rows is 2 w, of length 10; further uphill is w + 0.5 w / 5.
  EXPECT_TRUE(at::allclose(gradient_of_a_step(0.5, w), 2 * (w + 0.5 * w / 5)));
}

TEST(FlatSteps, IsPlainTrainingWithoutRho) {
  const at::Tensor w = at::tensor({3.0, -4.0}, at::kDouble);
  EXPECT_TRUE(at::equal(gradient_of_a_step(0, w), 2 * w));
}

TEST(FlatSteps, RefusesANegativeRho) {
  const GivenSettings settings({{"rho", -1.0}});
  make_defense(settings);
  ASSERT_EQ(settings.mistakes().size(), 1U);
  EXPECT_NE(settings.mistakes()[0].find("expected a number of at least 0"), std::string::npos) << settings.mistakes()[0];
}

}  // namespace
