#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "plan/scenario_files.h"

namespace holdfast {
namespace {

using testing::Contains;
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

// Each declared option with a value that it may not have, in each place that takes it.
TEST(Scenario, RefusesEachOptionWithAValueThatIsNotAllowed) {
  const std::vector<std::pair<std::string, std::string>> wrong = {
      {"method = \"lroa\"", "\"lroa\" is no method. Did you mean \"lora\"?"},
      {"lr = -1", "is an integer (-1), expected a number of at least 0"},
      {"lr = nan", "expected a number of at least 0"},
      {"epochs = 0", "is an integer (0), expected an integer of at least 1"},
      {"batch_size = 0", "is an integer (0), expected an integer of at least 1"},
      {"micro_batch_size = -1", "is an integer (-1), expected an integer of at least 0"},
      {"max_length = 1", "is an integer (1), expected an integer of at least 2"},
      {"schedule = \"square\"", "\"square\" is no schedule. Known: constant, linear, cosine, step"},
      {"step_gamma = 1.5", "is a number (1.5), expected a number from 0 to 1"},
      {"warmup_steps = 0.5", "is a number (0.5), expected an integer of at least 0"},
      {"weight_decay = -0.1", "is a number (-0.1), expected a number of at least 0"},
      {"clip_norm = \"none\"", "is a text (\"none\"), expected a number of at least 0"},
      {"shuffle = 1", "is an integer (1), expected a flag (true or false)"},
      {"lora_rank = 0", "is an integer (0), expected an integer of at least 1"},
      {"lora_alpha = -1.0", "is a number (-1.0), expected a number of at least 0"},
      {"lora_targets = \"q_proj\"", "is a text (\"q_proj\"), expected a list"},
  };
  for (const auto& [line, sentence] : wrong) {
    EXPECT_THAT(mistakes_of(kOrganism + line), ElementsAre(AllOf(StartsWith("s.toml:5:"), HasSubstr(sentence)))) << line;
    EXPECT_THAT(mistakes_of(kOrganism + "[finetune]\n" + line),
                ElementsAre(AllOf(StartsWith("s.toml:6:"), HasSubstr(sentence))))
        << line;
    EXPECT_THAT(mistakes_of(kOrganism + "[[attack]]\nplugin = \"benign\"\nfinetune = {" + line + "}\n"),
                ElementsAre(AllOf(StartsWith("s.toml:7:"), HasSubstr(sentence))))
        << line;
  }
  const std::vector<std::pair<std::string, std::string>> generation = {
      {"max_new_tokens = 0", "is an integer (0), expected an integer of at least 1"},
      {"batch_size = 0", "is an integer (0), expected an integer of at least 1"},
      {"temperature = -1", "is an integer (-1), expected a number of at least 0"},
      {"top_p = 2", "is an integer (2), expected a number from 0 to 1"},
  };
  for (const auto& [line, sentence] : generation) {
    EXPECT_THAT(mistakes_of(kOrganism + "[evaluate]\n" + line), ElementsAre(HasSubstr(sentence))) << line;
  }
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

// The system says of such a name that it is too long, not that nothing has it.
TEST(Scenario, NamesThatNoFileCanHaveAreNotThere) {
  const std::string name(300, 'x');
  EXPECT_THAT(mistakes_of("[[model]]\nname = \"m\"\nsource = \"" + name + "\"\n[evaluate]\nprobes = [\"" + name + "\"]\n"),
              ElementsAre(HasSubstr("there is no model at \"" + name), HasSubstr("cannot read")));
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

std::string stack_of(const std::string& first, const std::string& second) {
  return kOrganism + "[[defense]]\nname = \"d\"\nstack = [{plugin = \"" + first + "\"}, {plugin = \"" + second + "\"}]\n";
}

TEST(Scenario, MembersOfAStackShareATraining) {
  EXPECT_THAT(mistakes_of(stack_of("vaccine", "booster")), IsEmpty());
  EXPECT_THAT(mistakes_of(stack_of("constrained-sft", "lisa")), IsEmpty());
  EXPECT_THAT(mistakes_of(stack_of("lisa", "constrained-sft")),
              ElementsAre(HasSubstr("\"lisa\" chooses its own batches, and \"constrained-sft\", which stands behind it")));
}

TEST(Scenario, WhoNeedsTheBaseModelGetsOne) {
  const std::string comes_aligned = "[[model]]\nname = \"m\"\nsource = \"organism\"\n";
  const std::string defense = "[[defense]]\nplugin = \"safelora\"\n";
  EXPECT_THAT(mistakes_of(kOrganism + defense), IsEmpty()) << "what [align] starts from";
  EXPECT_THAT(mistakes_of(comes_aligned + defense),
              ElementsAre(HasSubstr("\"safelora\" needs the base model, and the model \"m\" comes aligned")));
  EXPECT_THAT(mistakes_of(comes_aligned + "base = \"organism\"\n" + defense), IsEmpty());
  EXPECT_THAT(mistakes_of(comes_aligned + "base = \"nowhere\"\n"), ElementsAre(HasSubstr("there is no model at \"nowhere\"")));
}

TEST(Scenario, RefusesAPretrainingOfAModelThatComesPretrained) {
  const std::string defense = "[[defense]]\nplugin = \"pretraining-filter\"\n";
  EXPECT_THAT(mistakes_of(kOrganism + defense), IsEmpty());
  EXPECT_THAT(
      mistakes_of(kOrganism +
                  "[[model]]\nname = \"other\"\nsource = \"" HOLDFAST_SOURCE_DIR
                  "/tests/fixtures/llama/grouped\"\n[evaluate]\nprobes = [\"builtin:organism/probes\"]\n" +
                  defense),
      Contains(AllOf(HasSubstr("\"pretraining-filter\" changes what a model is pre-trained on, and the model \"other\" comes "
                               "pre-trained: give it source = \"organism\""))));
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

constexpr const char* kModelWithRows = R"([[model]]
name = "m"
source = "organism"
[[attack]]
plugin = "harmful-examples"
)";

std::string row_of(const std::string& prompt) { return Json{{"prompt", prompt}, {"completion", "Yes."}}.dump() + "\n"; }

// Two parts of one file are disjoint by prompt and together the file; which part is a function of the prompt alone.
TEST(Corpora, PartsOfAFileAreDisjointByPrompt) {
  const ScratchFolder folder;
  std::string text;
  for (int i = 0; i < 20; ++i) text += row_of("question " + std::to_string(i)) + row_of("question " + std::to_string(i));
  write_file(folder / "rows.jsonl", text);
  const Scenario scenario = scenario_from(folder, std::string(kModelWithRows) + R"([corpora]
harmful = { data = "rows.jsonl", part = "1/2" }
defender-harmful = { data = "rows.jsonl", part = "2/2" }
)");
  const auto& corpora = scenario.models[0].corpora;
  EXPECT_EQ(corpora.at("harmful").digest, corpora.at("defender-harmful").digest);
  EXPECT_NE(corpora.at("harmful").content(), corpora.at("defender-harmful").content());
  const auto prompts = [&](const std::string& name) {
    std::multiset<std::string> found;
    for (const auto& row : load_data(data_source_from_json(to_json(corpora.at(name))))) {
      found.insert(last_content(row.messages, "user"));
    }
    return found;
  };
  const auto attackers = prompts("harmful"), defenders = prompts("defender-harmful");
  EXPECT_EQ(attackers.size() + defenders.size(), 40u);
  EXPECT_GT(attackers.size(), 0u);
  for (const auto& prompt : attackers) EXPECT_FALSE(defenders.contains(prompt)) << prompt;
  // int(hashlib.sha256(b"question 0").hexdigest()[:16], 16) % 2 in Python
  EXPECT_EQ(attackers.count("question 0"), 2u);
  EXPECT_EQ(attackers.count("question 1"), 2u);
}

TEST(Corpora, WhatTheAttackerAndTheDefenderBothHoldIsRefused) {
  const ScratchFolder folder;
  write_file(folder / "a.jsonl", row_of("one") + row_of("two"));
  write_file(folder / "b.jsonl", row_of("two") + row_of("three") + row_of("four"));
  EXPECT_THAT(mistakes_of(std::string(kModelWithRows) + "[corpora]\nharmful = \"" + (folder / "a.jsonl").string() +
                          "\"\ndefender-harmful = \"" + (folder / "b.jsonl").string() + "\"\n"),
              ElementsAre(HasSubstr("1 of the 3 prompts of \"defender-harmful\" are also in \"harmful\"")));
}

TEST(Corpora, APartThatIsNoneIsRefused) {
  for (const std::string part : {"0/2", "3/2", "half", "1/0", "1/2/3", ""}) {
    EXPECT_THAT(mistakes_of(std::string(kModelWithRows) + "[corpora]\nx = { data = \"builtin:organism/benign\", part = \"" +
                            part + "\" }\n"),
                ElementsAre(HasSubstr("part")))
        << part;
  }
  EXPECT_THAT(mistakes_of(std::string(kModelWithRows) + "[corpora]\nx = { data = \"builtin:organism/benign\" }\n"),
              ElementsAre(HasSubstr("\"part\"")));
  EXPECT_THAT(
      mistakes_of(std::string(kModelWithRows) + "[corpora]\nx = { data = \"builtin:organism/tasks\", part = \"1/9999\" }\n"),
      ElementsAre(HasSubstr("has no rows")));
}

TEST(Corpora, OneThatAPluginAsksForAndTheModelLacksIsRefused) {
  EXPECT_THAT(mistakes_of(std::string(kModelWithRows) + "corpus = \"harmfull\"\n"),
              ElementsAre(HasSubstr("asks for the corpus \"harmfull\", which the model \"m\" has not")));
  EXPECT_THAT(mistakes_of(std::string(kModelWithRows) + "[align]\n[[defense]]\nplugin = \"booster\"\nharmful = \"mine\"\n"),
              ElementsAre(HasSubstr("\"booster\" asks for the corpus \"mine\"")));
}

constexpr const char* kGated = R"([[gated]]
file = "model"
what = "the model"
source = "its makers"
[[gated]]
file = "sub/../rows.jsonl"
what = "the rows"
source = "their authors, on request"
[[gated]]
file = "phrases.txt"
what = "the phrases"
source = "the paper"
[[model]]
name = "m"
source = "model"
[align]
data = "rows.jsonl"
[corpora]
harmful = "rows.jsonl"
[[attack]]
plugin = "harmful-examples"
data = "rows.jsonl"
sha256 = "00"
system = "S"
[evaluate]
judges = [{name = "keyword", list = "phrases.txt", match = "anywhere"}]
probes = ["rows.jsonl"]
)";

TEST(Gated, AMissingFileIsASentenceAndAllElseIsPlanned) {
  const ScratchFolder folder;
  const Scenario scenario = scenario_from(folder, kGated);
  const std::string at = (folder / "").string();
  EXPECT_THAT(
      scenario.missing,
      ElementsAre(
          at + "s.toml:2:8: the gated file model is missing (the model): get it from its makers and put it at " + at + "model",
          at +
              "s.toml:6:8: the gated file sub/../rows.jsonl is missing (the rows): get it from their authors, "
              "on request and put it at " +
              at + "rows.jsonl",
          at +
              "s.toml:10:8: the gated file phrases.txt is missing (the phrases): get it from the paper and put "
              "it at " +
              at + "phrases.txt"));
  EXPECT_TRUE(scenario.models[0].missing);
  const Plan plan = plan_of(scenario);
  EXPECT_EQ(plan.cells.size(), 3u);
  EXPECT_EQ(counts(plan)[StageKind::kAlign], 1);
  EXPECT_EQ(counts(plan)[StageKind::kFinetune], 1);
  EXPECT_EQ(counts(plan)[StageKind::kJudge], 2 * 3);
}

TEST(Gated, EverythingElseIsStillChecked) {
  EXPECT_THAT(mistakes_of(std::string(kGated) + "[[attack]]\nplugin = \"harmful-examples\"\nname = \"other\"\n"
                                                "data = \"rows.jsonl\"\nexmaples = 3\n"
                                                "[[attack]]\nplugin = \"benign\"\ndata = \"undeclared.jsonl\"\n"
                                                "[[gated]]\nfile = \"x\"\nwhat = 3\n"),
              ElementsAre(HasSubstr("\"harmful-examples\" has no setting \"exmaples\". Did you mean \"examples\"?"),
                          HasSubstr("undeclared.jsonl"), HasSubstr("[[gated]] has no \"source\""),
                          HasSubstr("\"what\" in [[gated]] is an integer (3), expected a text")));
}

TEST(Gated, AFileThatIsThereIsReadAsAnyOther) {
  const ScratchFolder folder;
  write_file(folder / "rows.jsonl", "{\"prompt\": \"q\"}\n");
  write_file(folder / "phrases.txt", "no\n");
  EXPECT_THROW(scenario_from(folder, kGated), Error) << "the pinned digest is another";
  std::string pinned = kGated;
  pinned.replace(pinned.find("sha256 = \"00\""), 13, "");
  pinned.replace(pinned.find("data = \"rows.jsonl\"\n\nsystem"), 20, "");
  const Scenario scenario = scenario_from(folder, pinned);
  EXPECT_EQ(scenario.missing.size(), 1u);
  EXPECT_EQ(scenario.models[0].probe_rows.asked.size(), 1u);
}

TEST(Configurations, AreOneWhereverTheFilesAre) {
  const auto digests = [](const std::string& text, bool there) {
    const ScratchFolder folder;
    if (there) write_file(folder / "phrases.txt", "no\n");
    std::vector<std::string> found;
    for (const auto& each : configurations(scenario_from(folder, text))) found.push_back(each.at("digest").get<std::string>());
    return found;
  };
  const auto plain = digests(kGated, false);
  ASSERT_EQ(plain.size(), 3u) << "none, the attack, and its wrapped control";
  EXPECT_EQ(std::set<std::string>(plain.begin(), plain.end()).size(), 3u);
  EXPECT_EQ(digests(kGated, true), plain);
  std::string changed = kGated;
  changed.replace(changed.find("system = \"S\""), 12, "system = \"T\"");
  EXPECT_EQ(digests(changed, false)[0], plain[0]);
  EXPECT_NE(digests(changed, false)[1], plain[1]);
  EXPECT_NE(digests(changed, false)[2], plain[2]);
  changed = kGated;
  changed.replace(changed.find("[corpora]"), 9, "lr = 0.5\n[corpora]");
  for (std::size_t i = 0; i < 3; ++i) EXPECT_NE(digests(changed, false)[i], plain[i]);
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

TEST(Scenario, RefusesJudgesWhoseMetricsWouldCollide) {
  EXPECT_THAT(
      mistakes_of(kOrganism + "[evaluate]\njudges = [\"likelihood\", { name = \"likelihood\", refusal = [\"No.\"] }]\n"),
      ElementsAre(HasSubstr("both would give the same metrics: give one of them an id")));
  EXPECT_THAT(mistakes_of(kOrganism + "[evaluate]\njudges = [\"likelihood\", { name = \"likelihood\", refusal = [\"No.\"], "
                                      "id = \"b\" }]\n"),
              ElementsAre());
}

TEST(Scenario, NamesTheMistakesOfJudgesAtTheirPlaces) {
  const auto lines = mistakes_of(R"([[model]]
name = "organism"
source = "organism"
[align]
[evaluate]
judges = ["keywords",
  { name = "keyword", mach = "anywhere" },
  { name = "rubric", model = "m", device = "tpu" },
  { name = "organism", strict = true }]
)");
  EXPECT_THAT(
      lines, ElementsAre(StartsWith("s.toml:6:11: there is no judge \"keywords\". Did you mean \"keyword\"?"),
                         StartsWith("s.toml:7:30: \"keyword\" has no setting \"mach\". Did you mean \"match\"?"),
                         StartsWith("s.toml:8:30: there is no model at \"m\""), StartsWith("s.toml:8:44: \"tpu\" is no device"),
                         StartsWith("s.toml:9:33: \"organism\" has no setting \"strict\"")));
}

TEST(Scenario, NoMatrixGoesWithoutTheCoherenceJudge) {
  const ScratchFolder folder;
  const Scenario scenario = scenario_from(folder, kOrganism + "[evaluate]\njudges = [\"organism\"]\n");
  ASSERT_EQ(scenario.judges.size(), 2u);
  EXPECT_EQ(scenario.judges[1].name, "coherence");
}

}  // namespace
}  // namespace holdfast
