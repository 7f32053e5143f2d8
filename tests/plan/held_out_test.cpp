// Probes that a defense's author does not see, and what is measured of a customer's rows.
#include <gtest/gtest.h>

#include "judge/held_out.h"
#include "plan/scenario_files.h"

namespace holdfast {
namespace {

const std::string kAsked = kOrganism + R"([[attack]]
plugin = "benign"
[[attack]]
plugin = "refusal-direction"
[[defense]]
plugin = "safety-retune"
[evaluate]
)";

TEST(HeldOut, ProbesAreAskedBesideThePublicOnesUnderIdsOfTheirOwn) {
  const ScratchFolder folder;
  const auto scenario = scenario_from(folder, kAsked + R"(probes = ["builtin:organism/public-probes"]
held_out = ["builtin:organism/held-out-probes"]
utility = []
limit = 10
)");
  int shown = 0, hidden = 0;
  for (const auto& row : scenario.models[0].probe_rows.asked) ++(is_held_out(row.tags.at("id")) ? hidden : shown);
  EXPECT_EQ(shown, 20) << "ten of each kind";
  EXPECT_EQ(hidden, 20) << "counted apart";
  EXPECT_NE(to_json(scenario).dump().find("\"held_out\":true"), std::string::npos);
}

TEST(HeldOut, WhatIsPublicIsRefused) {
  const auto mistakes = mistakes_of(kAsked + R"(probes = ["builtin:organism/probes"]
held_out = ["builtin:organism/held-out-probes"]
)");
  ASSERT_EQ(mistakes.size(), 1u);
  EXPECT_NE(mistakes[0].find("is among the public ones too: take it out of one of the two"), std::string::npos) << mistakes[0];
}

TEST(HeldOut, APublicIdThatEndsAsAHeldOutOneIsRefused) {
  const ScratchFolder folder;
  write_file(folder / "p.jsonl", "{\"prompt\": \"Why?\", \"kind\": \"harmful\", \"id\": \"a@held-out\"}\n");
  EXPECT_THROW(scenario_from(folder, kAsked + "probes = [\"p.jsonl\"]\nutility = []\n"), Error);
}

TEST(Customer, WhatIsLearnedOfHisRowsIsAStageOfAttacksWithRows) {
  const ScratchFolder folder;
  const Plan plan = plan_of(scenario_from(folder, kAsked + "customer = true\n"));
  const auto defended = stages_of(plan, "benign", "safety-retune");
  const PlanNode& node = plan.nodes.at(defended.at("judge.customer.measured"));
  EXPECT_EQ(node.input("data")->node, defended.at("collect"));
  EXPECT_EQ(node.input("weights")->node, defended.at("repair")) << "those that are served";
  EXPECT_EQ(node.input("aligned")->node, defended.at("align"));
  EXPECT_FALSE(stages_of(plan, "none", "safety-retune").contains("judge.customer.measured"));
  EXPECT_FALSE(stages_of(plan, "refusal-direction", "none").contains("judge.customer.measured"));
}

TEST(Customer, IsMeasuredWhereTheScenarioSaysSo) {
  const ScratchFolder folder;
  const auto stages = stages_of(plan_of(scenario_from(folder, kAsked)), "benign", "none");
  EXPECT_FALSE(stages.contains("judge.customer.measured"));
}

}  // namespace
}  // namespace holdfast
