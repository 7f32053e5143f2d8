// Sweeps of attacks, as a scenario states them: which tries there are, and what is no sweep.
#include <gmock/gmock.h>

#include <set>

#include "plan/scenario_files.h"

namespace holdfast {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;
using testing::UnorderedElementsAre;

std::string scenario_with(const std::string& plugin, const std::string& lines) {
  return kOrganism + "[[attack]]\nplugin = \"" + plugin + "\"\nname = \"a\"\n" + lines + "\n";
}

Scenario swept(const std::string& plugin, const std::string& lines) {
  const ScratchFolder folder;
  return scenario_from(folder, scenario_with(plugin, lines));
}

// Without the control.
std::vector<std::string> names(const Scenario& scenario) {
  std::vector<std::string> names;
  for (const auto& attack : scenario.attacks) names.push_back(attack.name);
  names.erase(names.begin());
  return names;
}

std::vector<std::string> mistakes(const std::string& sweep, const std::string& plugin = "harmful-examples",
                                  const std::string& more = "") {
  return mistakes_of(scenario_with(plugin, "sweep = " + sweep + "\n" + more));
}

TEST(Sweep, IsAGridInTheOrderWritten) {
  const Scenario scenario = swept(
      "harmful-examples", "sweep = { lr = [1e-4, 1e-5], examples = [10, 5], epochs = [2] }\nfinetune = { batch_size = 3 }");
  EXPECT_THAT(names(scenario), ElementsAre("a#lr=0.0001,examples=10,epochs=2", "a#lr=0.0001,examples=5,epochs=2",
                                           "a#lr=1e-05,examples=10,epochs=2", "a#lr=1e-05,examples=5,epochs=2"));
  const AttackSpec& second = scenario.attacks[2];
  EXPECT_EQ(second.sweep, "a");
  EXPECT_EQ(second.tried, Json({{"lr", 1e-4}, {"examples", 5}, {"epochs", 2}}));
  EXPECT_EQ(second.finetune.lr, 1e-4);
  EXPECT_EQ(second.finetune.epochs, 2);
  EXPECT_EQ(second.finetune.batch_size, 3) << "what the attack states itself stays";
  EXPECT_EQ(second.plugin->resolved.at("examples"), 5);
  EXPECT_EQ(scenario.attacks[1].plugin->resolved.at("examples"), 10);
  EXPECT_TRUE(scenario.attacks[0].sweep.empty());
}

TEST(Sweep, ATryIsTheAttackThatStatesTheSame) {
  const Scenario scenario = swept("harmful-examples", "sweep = { lr = [1, 2], examples = [5] }");
  const Scenario alone = swept("harmful-examples", "examples = 5\nfinetune = { lr = 1.0 }");
  const auto digest = [](const Scenario& of) { return configurations(of)[1].at("digest"); };
  EXPECT_EQ(digest(scenario), digest(alone));
  EXPECT_EQ(scenario.attacks[1].name, "a#lr=1.0,examples=5");
  EXPECT_EQ(configurations(scenario)[1].at("attack"), "a#lr=1.0,examples=5");
}

TEST(Sweep, NamesHaveNoSlashAndSayTheSameForTheSame) {
  const Scenario scenario = swept("harmful-examples",
                                  "sweep = { method = [\"full\", \"lora\"], lora_targets = [[\"q_proj\", \"v_proj\"]], "
                                  "shuffle = [true], system = [\"You/are the one\"] }");
  EXPECT_THAT(names(scenario), ElementsAre("a#method=full,lora_targets=q_proj+v_proj,shuffle=true,system=c0352987",
                                           "a#method=lora,lora_targets=q_proj+v_proj,shuffle=true,system=c0352987"));
  EXPECT_EQ(scenario.attacks[1].plugin->resolved.at("system"), "You/are the one");
}

TEST(Sweep, DrawsDistinctPointsBySeed) {
  const auto drawn = [](const std::string& more) {
    return names(swept("harmful-examples", "sweep = { lr = [1, 2, 3], epochs = [1, 2, 3, 4], tries = " + more + " }"));
  };
  const auto first = drawn("5");
  EXPECT_EQ(first.size(), 5u);
  EXPECT_EQ(std::set<std::string>(first.begin(), first.end()).size(), 5u);
  EXPECT_EQ(drawn("5, seed = 1"), first);
  EXPECT_NE(drawn("5, seed = 2"), first);
  const auto more = drawn("7");
  EXPECT_EQ(std::vector<std::string>(more.begin(), more.begin() + 5), first) << "more tries keep those that there were";
  const auto all = drawn("12");
  EXPECT_EQ(std::set<std::string>(all.begin(), all.end()).size(), 12u);
}

TEST(Sweep, DrawsNumbersFromRanges) {
  const Scenario scenario =
      swept("poisoned-task",
            "sweep = { lr = { low = 1e-5, high = 1e-3, scale = \"log\" }, harmful_share = { low = 0.2, high "
            "= 0.4 }, epochs = [1, 2], tries = 200 }");
  ASSERT_EQ(scenario.attacks.size(), 201u);
  int low = 0;
  std::set<std::int64_t> epochs;
  for (const auto& attack : scenario.attacks) {
    if (!attack.plugin) continue;
    EXPECT_GE(attack.finetune.lr, 1e-5);
    EXPECT_LE(attack.finetune.lr, 1e-3);
    low += attack.finetune.lr < 1e-4;
    const double share = attack.plugin->resolved.at("harmful_share");
    EXPECT_GE(share, 0.2);
    EXPECT_LE(share, 0.4);
    EXPECT_EQ(attack.tried.at("lr"), attack.finetune.lr);
    EXPECT_LE(Json(attack.finetune.lr).dump().size(), 8u) << "three digits are enough";
    epochs.insert(attack.finetune.epochs);
  }
  EXPECT_GT(low, 70) << "half of the draws, on a log scale";
  EXPECT_LT(low, 130);
  EXPECT_EQ(epochs.size(), 2u);
}

TEST(Sweep, OfAnAttackOnWeightsAndOfSettingsAlone) {
  const Scenario scenario = swept("refusal-direction", "sweep = { depth = [0.5, 0.8] }");
  EXPECT_THAT(names(scenario), ElementsAre("a#depth=0.5", "a#depth=0.8"));
  EXPECT_EQ(scenario.attacks[1].threat, ThreatModel::kWeights);
  EXPECT_THAT(
      mistakes("{ lr = [1e-4] }", "refusal-direction"),
      ElementsAre(HasSubstr("\"lr\" in sweep of this attack is a training option, and \"refusal-direction\" edits weights "
                            "and trains nothing")));
}

TEST(Sweep, WrongOnesAreRefusedAtTheirPlace) {
  const std::vector<std::pair<std::string, std::string>> wrong = {
      {"3", "s.toml:8:9: \"sweep\" in [[attack]] is an integer (3), expected a table"},
      {"{}", "s.toml:8:9: sweep of this attack names nothing to try, expected lists of values"},
      {"{ tries = 3 }", "names nothing to try"},
      {"{ lr = 1e-4 }",
       "s.toml:8:16: \"lr\" in sweep of this attack is a number (0.0001), expected a list of values or a range"},
      {"{ lr = [] }", "s.toml:8:16: \"lr\" in sweep of this attack is an empty list, expected the values to try"},
      {"{ lr = [1e-4, 0.0001] }", "s.toml:8:23: \"lr\" in sweep of this attack lists 0.0001 twice"},
      {"{ lr = [1, 1.0] }", "lists 1 twice"},
      {"{ lr = [1e-4, \"high\"] }",
       "s.toml:8:23: \"lr\" in sweep of this attack lists a text (\"high\"), expected a number of at least 0"},
      {"{ lr = [-1] }", "lists an integer (-1), expected a number of at least 0"},
      {"{ epochs = [0, 1] }", "lists an integer (0), expected an integer of at least 1"},
      {"{ epochs = [1.5] }", "lists a number (1.5), expected an integer of at least 1"},
      {"{ method = [\"lora\", \"prefix\"] }", "lists a text (\"prefix\"), expected \"full\" or \"lora\""},
      {"{ examples = [10, \"many\"] }",
       "s.toml:8:27: setting \"examples\" is a text (\"many\"), expected an integer of at least 1"},
      {"{ epoch = [1, 2] }",
       "s.toml:8:19: \"epoch\" in sweep of this attack is neither a training option nor a setting of \"harmful-examples\". Did "
       "you "
       "mean \"epochs\"?"},
      {"{ exmaples = [1, 2] }", "Did you mean \"examples\"?"},
      {"{ threat_model = [\"api\", \"weights\"] }", "\"threat_model\" in sweep of this attack is neither"},
      {"{ lr = [1, 2], tries = 3 }",
       "s.toml:8:32: \"tries\" in sweep of this attack is 3, and its grid holds 2: leave \"tries\" out to take them all"},
      {"{ lr = [1, 2], tries = 0 }", "\"tries\" in sweep of this attack is an integer (0), expected an integer from 1 to 1000"},
      {"{ lr = [1, 2], seed = 3 }", "s.toml:8:31: \"seed\" in sweep of this attack draws nothing without \"tries\""},
      {"{ lr = { low = 1, high = 2 } }", "is a range, which tries are drawn from: say how many as \"tries\""},
      {"{ lr = { low = 1 }, tries = 3 }", "is a range without a number as \"high\""},
      {"{ lr = { low = \"a\", high = 1 }, tries = 3 }",
       "s.toml:8:24: \"lr\" in sweep of this attack is a range without a number as "},
      {"{ lr = { low = 2, high = 1 }, tries = 3 }", "is a range whose \"low\" is not below its \"high\""},
      {"{ lr = { low = 0, high = 1, scale = \"log\" }, tries = 3 }", "is a range on the log scale, whose \"low\" is above 0"},
      {"{ lr = { low = -1, high = 1 }, tries = 3 }", "is a range that passes what it may be, a number of at least 0"},
      {"{ lr = { low = 1, high = 2, step = 1 }, tries = 3 }", "the range of \"lr\" in sweep of this attack has no \"step\""},
      {"{ lr = { low = 1, high = 2, scale = \"lgo\" }, tries = 3 }", "\"lgo\" is no scale. Known: linear, log"},
      {"{ epochs = { low = 1, high = 9 }, tries = 3 }",
       "is a range, and not a number but an integer of at least 1: list its values"},
      {"{ examples = { low = 1, high = 9 }, tries = 3 }",
       "\"examples\" in sweep of this attack is a range, and no number: list its"},
      {"{ lr = { low = 1.0, high = 1.01 }, tries = 30 }", "is 30, and its ranges hold too few numbers of 3 digits"},
  };
  for (const auto& [sweep, sentence] : wrong) {
    EXPECT_THAT(mistakes(sweep), ElementsAre(AllOf(StartsWith("s.toml:8:"), HasSubstr(sentence)))) << sweep;
  }
  std::string many = "{ epochs = [1";
  for (int i = 2; i <= 40; ++i) many += ", " + std::to_string(i);
  const std::string grid = many + "]" + many.substr(1).replace(0, 7, ", examples");
  EXPECT_THAT(mistakes(grid + "] }"),
              ElementsAre(HasSubstr(
                  "sweep of this attack holds 1600 combinations: say as \"tries\" how many are drawn, 1000 at most")));
}

TEST(Sweep, WhatItTriesIsNotStatedBesideIt) {
  EXPECT_THAT(mistakes("{ lr = [1, 2] }", "harmful-examples", "finetune = { lr = 3, epochs = 2 }"),
              ElementsAre("s.toml:8:16: \"lr\" in sweep of this attack stands in its finetune too: leave it out there"));
  EXPECT_THAT(mistakes("{ examples = [1, 2] }", "harmful-examples", "examples = 3"),
              ElementsAre("s.toml:8:22: \"examples\" in sweep of this attack is a setting beside it too: leave it out there"));
  EXPECT_THAT(mistakes("{ lr = [1, 2] }", "harmful-examples", "exmaples = 3"),
              ElementsAre("s.toml:9:12: \"harmful-examples\" has no setting \"exmaples\". Did you mean \"examples\"?"))
      << "what is wrong with the attack is said once, not with each try";
}

TEST(Sweep, AnAttackHasNoNameOfATry) {
  EXPECT_THAT(mistakes_of(kOrganism + "[[attack]]\nplugin = \"benign\"\nname = \"a#1\"\n"),
              ElementsAre("s.toml:7:8: \"a#1\" has a #, which marks the tries of a sweep: choose another name"));
}

TEST(Sweep, TriesThatAskAlikeShareOneControl) {
  const auto controls = [](const Scenario& scenario) {
    std::vector<std::string> names;
    for (const auto& attack : scenario.attacks) {
      if (attack.control) names.push_back(attack.control->name + "|" + attack.control->sweep);
    }
    return names;
  };
  EXPECT_THAT(controls(swept("identity-shift", "sweep = { lr = [1, 2], examples = [10, 20] }")), ElementsAre("none@a|"));
  EXPECT_THAT(controls(swept("identity-shift", "sweep = { lr = [1, 2], prefix = [\"AOA. \", \"AOB. \"] }")),
              UnorderedElementsAre(StartsWith("none@a#lr=1.0,prefix="), StartsWith("none@a#lr=1.0,prefix=")));
  EXPECT_THAT(controls(swept("identity-shift", "sweep = { lr = [1, 2], prefix = [\"AOA. \", \"AOB. \"] }")),
              UnorderedElementsAre(testing::EndsWith("|none@a"), testing::EndsWith("|none@a")));
  EXPECT_THAT(controls(swept("encoded-examples", "sweep = { lr = [1, 2] }")),
              UnorderedElementsAre("none@a|", "none@a@held-out|"));
  EXPECT_THAT(controls(swept("identity-shift", "")), ElementsAre("none@a|"));
}

}  // namespace
}  // namespace holdfast
