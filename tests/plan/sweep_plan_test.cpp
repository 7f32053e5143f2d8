// Sweeps as stages of a plan.
#include <gmock/gmock.h>

#include "plan/scenario_files.h"

namespace holdfast {
namespace {

using testing::ElementsAre;

Plan plan_with(const std::string& attacks) {
  const ScratchFolder folder;
  return plan_of(scenario_from(folder, kOrganism + "lr = 0.01\n" + attacks));
}

std::string identity(const std::string& sweep) {
  return "[[attack]]\nplugin = \"identity-shift\"\nname = \"a\"\nsweep = { " + sweep + " }\n";
}

TEST(SweptPlan, ATryHasTheStagesOfTheAttackThatIsWrittenOut) {
  const std::string sweep = identity("lr = [1e-4, 3e-4], examples = [10, 20]");
  const Plan alone = plan_with(sweep);
  const Plan plan =
      plan_with(sweep + "[[attack]]\nplugin = \"identity-shift\"\nname = \"b\"\nexamples = 20\nfinetune = { lr = 3e-4 }\n");
  EXPECT_EQ(stages_of(plan, "a#lr=0.0003,examples=20", "none"), stages_of(plan, "b", "none"));
  EXPECT_EQ(stages_of(plan, "none@a", "none"), stages_of(plan, "none@b", "none"));
  EXPECT_EQ(plan.nodes.size(), alone.nodes.size());
  EXPECT_EQ(counts(alone)[StageKind::kAlign], 1);
  EXPECT_EQ(counts(alone)[StageKind::kFinetune], 4);
  EXPECT_THAT(alone.attacks, ElementsAre("none", "a#lr=0.0001,examples=10", "none@a", "a#lr=0.0001,examples=20",
                                         "a#lr=0.0003,examples=10", "a#lr=0.0003,examples=20"));
}

TEST(SweptPlan, SaysWhichTryAnAttackIs) {
  const Plan plan = plan_with(identity("lr = [1e-4], prefix = [\"AOA. \", \"AOB. \"]"));
  EXPECT_EQ(plan.tries.size(), 4u) << "two tries, and the control of each template";
  std::map<std::string, int> sweeps;
  for (const auto& [name, one] : plan.tries) {
    ++sweeps[one.sweep];
    EXPECT_EQ(one.tried.at("lr"), 1e-4);
    EXPECT_TRUE(one.tried.at("prefix") == "AOA. " || one.tried.at("prefix") == "AOB. ");
  }
  EXPECT_EQ(sweeps, (std::map<std::string, int>{{"a", 2}, {"none@a", 2}}));
  EXPECT_TRUE(plan_with("[[attack]]\nplugin = \"identity-shift\"\n").tries.empty());
}

TEST(SweptPlan, StandsBesideAnotherOnlyWithTheSameTries) {
  const auto digest = [](const std::string& sweep) { return plan_with(identity(sweep)).definitions.at("sweep a"); };
  EXPECT_EQ(digest("lr = [1e-4, 3e-4]"), digest("lr = [3e-4, 1e-4]"));
  EXPECT_NE(digest("lr = [1e-4, 3e-4]"), digest("lr = [1e-4]"));
  EXPECT_NE(digest("lr = [1e-4, 3e-4]"), digest("lr = [1e-4, 3e-5]"));
}

}  // namespace
}  // namespace holdfast
