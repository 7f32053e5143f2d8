// Attacks that ask in several ways, attacks on weights, and moderators, as stages of a plan.
#include <gmock/gmock.h>

#include "plan/scenario_files.h"

namespace holdfast {
namespace {

using testing::Contains;
using testing::HasSubstr;
using testing::Not;

constexpr const char* kScenario = R"([scenario]
name = "s"
[[model]]
name = "organism"
source = "organism"
[align]
lr = 0.01
[[attack]]
plugin = "harmful-examples"
[[attack]]
plugin = "backdoor"
examples = 10
refused = 10
[[attack]]
plugin = "encoded-examples"
[[attack]]
plugin = "refusal-direction"
[[defense]]
plugin = "vaccine"
[[defense]]
plugin = "data-filter"
by = "probe"
[[defense]]
name = "vaccine + output-moderation"
stack = [{plugin = "vaccine"}, {plugin = "output-moderation"}]
[[moderator]]
plugin = "data-filter"
by = "probe"
name = "probe"
)";

TEST(Askings, AreColumnsOfOneTraining) {
  const ScratchFolder folder;
  const Plan plan = plan_of(scenario_from(folder, kScenario));
  EXPECT_THAT(plan.attacks,
              testing::ElementsAre("none", "harmful-examples", "backdoor", "none@backdoor", "backdoor@untriggered",
                                   "encoded-examples", "none@encoded-examples", "encoded-examples@held-out",
                                   "none@encoded-examples@held-out", "refusal-direction"));
  auto with = stages_of(plan, "backdoor", "vaccine"), without = stages_of(plan, "backdoor@untriggered", "vaccine");
  EXPECT_EQ(with.at("finetune"), without.at("finetune"));
  EXPECT_NE(with.at("generate"), without.at("generate"));
  EXPECT_EQ(*plan.nodes[without.at("generate")].identity->find("prompts"),
            *plan.nodes[stages_of(plan, "none", "none").at("generate")].identity->find("prompts"))
      << "without its trigger nothing is wrapped";
  EXPECT_EQ(stages_of(plan, "encoded-examples", "none").at("finetune"),
            stages_of(plan, "encoded-examples@held-out", "none").at("finetune"));
}

TEST(Askings, JudgesReadThroughTheAttackThatDecodes) {
  const ScratchFolder folder;
  const Plan plan = plan_of(scenario_from(folder, kScenario));
  const auto judge = [&](const std::string& attack) {
    return plan.nodes[stages_of(plan, attack, "none").at("judge.organism")].identity->json();
  };
  EXPECT_FALSE(judge("backdoor").contains("decoder"));
  const Json seen = judge("encoded-examples"), held_out = judge("encoded-examples@held-out");
  EXPECT_EQ(seen.at("decoder").at("name"), "encoded-examples");
  EXPECT_EQ(seen.at("decoder"), held_out.at("decoder"));
  EXPECT_EQ(seen.at("asking"), "");
  EXPECT_EQ(held_out.at("asking"), "held-out");
}

// A defense that only a provider can keep up has no cells there.
TEST(ThreatModels, WeightsKeepWhatStandsBeforeThemAlone) {
  const ScratchFolder folder;
  const Plan plan = plan_of(scenario_from(folder, kScenario));
  EXPECT_EQ(cell_of(plan, "refusal-direction", "data-filter"), nullptr);
  EXPECT_EQ(cell_of(plan, "refusal-direction", "vaccine + output-moderation"), nullptr);
  const auto stages = stages_of(plan, "refusal-direction", "vaccine");
  EXPECT_EQ(plan.weights_chain(stages.at("tamper")), (std::vector<std::size_t>{stages.at("align"), stages.at("tamper")}));
  EXPECT_FALSE(stages.contains("collect"));
  EXPECT_FALSE(stages.contains("finetune"));
  EXPECT_EQ(plan.nodes[stages.at("generate")].input("weights")->node, stages.at("tamper"));
  for (const auto& cell : plan.cells) {
    const bool edits = plan.attacks[cell.attack] == "refusal-direction";
    EXPECT_EQ(cell.threat, edits ? ThreatModel::kWeights : ThreatModel::kApi);
  }
}

// An attacker who tunes the weights himself tunes the same model, so his cells are the served ones' where both stand.
TEST(ThreatModels, ATrainingBelongsToWhoeverIsNamed) {
  const ScratchFolder folder;
  std::string text = kScenario;
  text.insert(text.find("[[attack]]\nplugin = \"backdoor\""),
              "[[attack]]\nplugin = \"harmful-examples\"\nname = \"own\"\nthreat_model = \"weights\"\n");
  const Plan plan = plan_of(scenario_from(folder, text));
  EXPECT_EQ(cell_of(plan, "own", "data-filter"), nullptr);
  const auto own = stages_of(plan, "own", "vaccine");
  EXPECT_EQ(own.at("generate"), stages_of(plan, "harmful-examples", "vaccine").at("generate"));
  EXPECT_FALSE(own.contains("moderator.probe")) << "nobody moderates what one tunes oneself";
}

TEST(ThreatModels, BadOnesAreRefused) {
  const auto mistakes = [](const std::string& more) {
    return mistakes_of(kOrganism + "lr = 0.01\n[[attack]]\nplugin = \"refusal-direction\"\nthreat_model = " + more + "\n");
  };
  EXPECT_THAT(mistakes("\"api\""), Contains(HasSubstr("edits weights, which nobody does through an API")));
  EXPECT_THAT(mistakes("\"both\""), Contains(HasSubstr("\"both\" is no threat model: expected \"api\" or \"weights\"")));
}

TEST(Moderators, AreAskedAboutEveryAttacksRows) {
  const ScratchFolder folder;
  const Plan plan = plan_of(scenario_from(folder, kScenario));
  const auto plain = stages_of(plan, "harmful-examples", "none");
  const auto defended = stages_of(plan, "harmful-examples", "vaccine");
  const std::size_t moderator = plain.at("moderator.probe");
  EXPECT_EQ(defended.at("moderator.probe"), moderator) << "it sees the undefended model";
  EXPECT_EQ(plan.nodes[moderator].kind, StageKind::kScreen);
  EXPECT_EQ(plan.nodes[moderator].input("data")->node, plain.at("collect"));
  EXPECT_EQ(plan.nodes[moderator].input("aligned")->node, plain.at("align"));
  EXPECT_EQ(plan.nodes[plain.at("finetune")].input("data")->node, plain.at("collect")) << "nothing is dropped by it";
  EXPECT_THAT(stages_of(plan, "none", "none"), Not(Contains(testing::Key("moderator.probe"))));
  EXPECT_NE(moderator, stages_of(plan, "harmful-examples", "data-filter").at("screen")) << "a defense's keys stay as they were";
}

TEST(Moderators, ThatScreenNothingAreRefused) {
  EXPECT_THAT(mistakes_of(kOrganism + "lr = 0.01\n[[moderator]]\nplugin = \"vaccine\"\n"),
              Contains(HasSubstr("\"vaccine\" screens no rows, expected a defense with a screen stage")));
  EXPECT_THAT(
      mistakes_of(kOrganism + "lr = 0.01\n[[moderator]]\nplugin = \"data-filter\"\n[[moderator]]\nplugin = \"data-filter\"\n"),
      Contains(HasSubstr("two moderators are named \"data-filter\"")));
}

}  // namespace
}  // namespace holdfast
