#include <gtest/gtest.h>
#include <holdfast/testing.h>

namespace {

using holdfast::GivenSettings;

at::Tensor repaired(double share) {
  holdfast::FakeModel tuned, aligned;
  tuned.values["w"] = at::tensor({4.0, 8.0}, at::kDouble);
  aligned.values["w"] = at::tensor({0.0, 4.0}, at::kDouble);
  holdfast::FakeContext context;
  context.aligned = &aligned;
  const auto defense = make_defense(GivenSettings({{"share", share}}));
  EXPECT_EQ(defense.repair->needs(), holdfast::kNeedsAligned);
  defense.repair->repair(tuned, context);
  return tuned.values["w"];
}

TEST(StepBack, GoesThatShareOfTheWay) {
  EXPECT_TRUE(at::equal(repaired(0.25), at::tensor({3.0, 7.0}, at::kDouble)));
  EXPECT_TRUE(at::equal(repaired(1), at::tensor({0.0, 4.0}, at::kDouble)));
}

TEST(StepBack, LeavesTheWeightsAloneAtZero) { EXPECT_TRUE(at::equal(repaired(0), at::tensor({4.0, 8.0}, at::kDouble))); }

TEST(StepBack, RefusesMoreThanTheWholeWay) {
  const GivenSettings settings({{"share", 2.0}});
  make_defense(settings);
  ASSERT_EQ(settings.mistakes().size(), 1U);
  EXPECT_NE(settings.mistakes()[0].find("expected a number from 0 to 1"), std::string::npos) << settings.mistakes()[0];
}

}  // namespace
