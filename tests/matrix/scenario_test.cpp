#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "matrix/scenario_files.h"

namespace holdfast {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::StartsWith;

TEST(Scenario, NamesEveryMistakeAtItsPlace) {
  const auto lines = mistakes_of(R"([scenario]
name = "broken"
sead = [1]
workers = "two"

[[model]]
name = "m"
source = "organism"
dtype = "float31"

[align]
lr = "fast"

[[attack]]
plugin = "harmful-exampels"

[[attack]]
plugin = "harmful-examples"
exmaples = 10
finetune = { epochs = 0 }

[[defense]]
name = "guard"
stack = [{ plugin = "vaccine", rho = "big" }]
)");
  EXPECT_THAT(lines,
              ElementsAre("s.toml:3:1: [scenario] has no \"sead\". Did you mean \"seeds\"?",
                          "s.toml:4:11: \"workers\" in [scenario] is a text (\"two\"), expected an integer from 1 to 256",
                          "s.toml:9:9: \"float31\" is no dtype. Did you mean \"float32\"?",
                          "s.toml:12:6: \"lr\" in [align] is a text (\"fast\"), expected a number of at least 0",
                          "s.toml:15:10: there is no attack plugin \"harmful-exampels\". Did you mean \"harmful-examples\"?",
                          "s.toml:19:12: \"harmful-examples\" has no setting \"exmaples\". Did you mean \"examples\"?",
                          "s.toml:20:23: \"epochs\" in finetune of this attack is an integer (0), expected an integer of "
                          "at least 1",
                          StartsWith("s.toml:24:38: setting \"rho\" is a text (\"big\"), expected a number")));
}

TEST(Scenario, SaysWhereTheTomlIsNoToml) {
  const auto lines = mistakes_of("[scenario]\nname = \n");
  ASSERT_EQ(lines.size(), 1u);
  EXPECT_THAT(lines[0], StartsWith("s.toml:2:"));
}

TEST(Scenario, NeedsAModelThatIsThere) {
  EXPECT_THAT(mistakes_of("[scenario]\n"), ElementsAre(HasSubstr("names no model")));
  EXPECT_THAT(
      mistakes_of("[[model]]\nname = \"m\"\nsource = \"gone.gguf\"\n[evaluate]\nprobes = [\"builtin:organism/probes\"]\n"),
      ElementsAre(StartsWith("s.toml:3:10: there is no model at \"gone.gguf\"")));
}

TEST(Scenario, NeedsDataThatIsThere) {
  EXPECT_THAT(mistakes_of("[[model]]\nname = \"m\"\nsource = \"organism\"\n[align]\ndata = \"gone.jsonl\"\n"),
              ElementsAre(AllOf(StartsWith("s.toml:5:8: "), HasSubstr("gone.jsonl"))));
  EXPECT_THAT(mistakes_of("[[model]]\nname = \"m\"\nsource = \"organism\"\n[align]\ndata = \"builtin:organism/alignmnt\"\n"),
              ElementsAre(HasSubstr("Did you mean \"alignment\"?")));
}

TEST(Scenario, RefusesNamesThatWouldNotBeUnique) {
  EXPECT_THAT(mistakes_of(kOrganism + "[[attack]]\nplugin = \"benign\"\nname = \"none\"\n"),
              ElementsAre(HasSubstr("\"none\" is the control attack")));
  EXPECT_THAT(mistakes_of(kOrganism + "[[attack]]\nplugin = \"benign\"\n[[attack]]\nplugin = \"benign\"\n"),
              ElementsAre(StartsWith("s.toml:8:10: two attacks are named \"benign\"")));
}

TEST(Scenario, RefusesTwoDefensesThatReplaceOneStep) {
  EXPECT_THAT(mistakes_of(kOrganism + "[[defense]]\nname = \"d\"\nstack = [{plugin = \"vaccine\"}, {plugin = \"vaccine\"}]\n"),
              ElementsAre(HasSubstr("both replace how the model is aligned")));
}

TEST(Scenario, RefusesAnAlignDefenseWithoutAlignment) {
  EXPECT_THAT(mistakes_of("[[model]]\nname = \"m\"\nsource = \"organism\"\n[[defense]]\nplugin = \"vaccine\"\n"),
              ElementsAre(AllOf(StartsWith("s.toml:5:10: "), HasSubstr("no [align] section"))));
}

TEST(Scenario, AddsTheControlsAndTheDefaults) {
  const ScratchFolder folder;
  const Scenario scenario = scenario_from(folder, kOrganism +
                                                      "[[attack]]\nplugin = \"identity-shift\"\nfinetune = {lr = 0.5}\n"
                                                      "[finetune]\nlr = 0.25\nepochs = 3\n[[defense]]\nplugin = \"vaccine\"\n");
  ASSERT_EQ(scenario.attacks.size(), 2u);
  EXPECT_EQ(scenario.attacks[0].name, "none");
  EXPECT_FALSE(scenario.attacks[0].wraps);
  EXPECT_TRUE(scenario.attacks[1].wraps);
  EXPECT_EQ(scenario.attacks[1].finetune.lr, 0.5);
  EXPECT_EQ(scenario.attacks[1].finetune.epochs, 3);
  ASSERT_EQ(scenario.defenses.size(), 2u);
  EXPECT_EQ(scenario.defenses[0].name, "none");
  EXPECT_EQ(scenario.defenses[1].name, "vaccine");
  EXPECT_EQ(scenario.judges.size(), 3u);
  EXPECT_EQ(scenario.name, "s");
  EXPECT_FALSE(scenario.models[0].probe_rows.asked.empty());
  EXPECT_TRUE(scenario.models[0].probe_rows.measured.empty());
}

TEST(Probes, AreNumberedByKindAndCutToTheLimit) {
  const Dataset rows = {{{{"user", "a"}}, {{"kind", "harmful"}}},
                        {{{"user", "b"}}, {{"kind", "benign"}, {"id", "mine"}}},
                        {{{"user", "c"}, {"assistant", "reference"}}, {{"kind", "harmful"}}},
                        {{{"user", "d"}}, {{"kind", "benign"}}}};
  const Dataset all = probe_rows(rows, 0).asked;
  ASSERT_EQ(all.size(), 4u);
  EXPECT_EQ(all[1].tags.at("id"), "mine");
  EXPECT_EQ(all[2].tags.at("id"), "harmful-2");
  EXPECT_EQ(all[2].messages.size(), 1u) << "a reference reply is not part of the question";
  EXPECT_EQ(all[3].tags.at("id"), "benign-2");
  EXPECT_EQ(probe_rows(rows, 1).asked.size(), 2u);
  Dataset twice = {rows[1], rows[1]};
  EXPECT_THROW(probe_rows(twice, 0), Error);
}

TEST(Probes, TasksThatAreMeasuredAreNotAsked) {
  const Dataset rows = {
      {{{"user", "a"}, {"assistant", "kept"}}, {{"metric", "perplexity"}, {"task", "t"}}},
      {{{"user", "b"}}, {{"metric", "exact-match"}, {"answer", "x"}, {"task", "u"}}},
      {{{"user", "c"}}, {{"metric", "exact-match"}, {"answer", "x"}, {"task", "u"}}},
  };
  const ProbeRows all = probe_rows(rows, 0);
  ASSERT_EQ(all.measured.size(), 1u);
  EXPECT_EQ(all.measured[0].messages.size(), 2u);
  EXPECT_EQ(all.measured[0].tags.at("id"), "t-1");
  ASSERT_EQ(all.asked.size(), 2u);
  EXPECT_EQ(all.asked[1].tags.at("id"), "u-2");
  EXPECT_EQ(all.asked[1].tags.at("kind"), "task");
  EXPECT_EQ(probe_rows(rows, 1).asked.size(), 1u);
}

TEST(Probes, OneTaskHasOneMetric) {
  const Dataset rows = {{{{"user", "a"}}, {{"metric", "exact-match"}, {"answer", "x"}, {"task", "t"}}},
                        {{{"user", "b"}}, {{"metric", "rouge-l"}, {"answer", "x"}, {"task", "t"}}}};
  EXPECT_THROW(probe_rows(rows, 0), Error);
}

TEST(Scenario, SaysWhichTaskRowIsWrong) {
  const ScratchFolder folder;
  write_file(folder / "task.jsonl", R"({"metric": "multiple-choice", "prompt": "Which?", "choices": ["a"], "answer": 0})"
                                    "\n");
  try {
    scenario_from(folder, kOrganism + "[evaluate]\nutility = [\"task.jsonl\"]\n");
    FAIL() << "a task with one choice was taken";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), AllOf(HasSubstr("s.toml"), HasSubstr("the task \"task\""), HasSubstr("at least two texts")));
  }
}

TEST(Scenario, NoMatrixGoesWithoutTheCoherenceJudge) {
  const ScratchFolder folder;
  const Scenario scenario = scenario_from(folder, kOrganism + "[evaluate]\njudges = [\"organism\"]\n");
  ASSERT_EQ(scenario.judges.size(), 2u);
  EXPECT_EQ(scenario.judges[1].name, "coherence");
}

}  // namespace
}  // namespace holdfast
