#include <gmock/gmock.h>

#include <algorithm>

#include "plan/scenario_files.h"
#include "plan/stage_key.h"

namespace holdfast {
namespace {

constexpr const char* kQuickstart = R"([scenario]
name = "q"
[[model]]
name = "organism"
source = "organism"
[align]
lr = 0.01
[[attack]]
plugin = "harmful-examples"
[[attack]]
plugin = "identity-shift"
[[attack]]
plugin = "benign"
[[defense]]
plugin = "data-filter"
[[defense]]
plugin = "output-moderation"
[[defense]]
plugin = "safety-retune"
[[defense]]
plugin = "vaccine"
[[defense]]
name = "vaccine then moderation"
stack = [{plugin = "vaccine"}, {plugin = "output-moderation"}]
)";

TEST(Plan, SharesStagesAcrossCells) {
  const ScratchFolder folder;
  const Plan plan = plan_of(scenario_from(folder, kQuickstart));
  EXPECT_EQ(plan.cells.size(), 5u * 6u) << "none, three attacks and one wrapped control, times none and five defenses";
  auto numbers = counts(plan);
  EXPECT_EQ(numbers[StageKind::kAlign], 2) << "plain and vaccine";
  EXPECT_EQ(numbers[StageKind::kCollect], 3);
  EXPECT_EQ(numbers[StageKind::kScreen], 3);
  EXPECT_EQ(numbers[StageKind::kFinetune], 3 * 3) << "undefended, filtered, vaccinated";
  EXPECT_EQ(numbers[StageKind::kRepair], 4) << "three attacks, and the aligned model of both controls";
  EXPECT_EQ(numbers[StageKind::kGenerate], (3 + 3 + 3 * 4) + (2 + 2 + 3 * 2)) << "the models' own, and moderated ones";
  EXPECT_EQ(numbers[StageKind::kJudge], 28 * 3);
}

TEST(Plan, MembersOfOneTrainingAreOneStage) {
  const ScratchFolder folder;
  const Plan plan = plan_of(scenario_from(folder, std::string(kQuickstart) + R"(
[[defense]]
name = "stack"
stack = [{plugin = "vaccine"}, {plugin = "booster"}]
[[defense]]
name = "turned"
stack = [{plugin = "booster"}, {plugin = "vaccine"}]
[[defense]]
plugin = "safelora"
)"));
  const auto node = [&](const std::string& defense, const std::string& stage) -> const PlanNode& {
    return plan.nodes[stages_of(plan, "harmful-examples", defense).at(stage)];
  };
  const Json stack = node("stack", "align").identity->json(), vaccine = node("vaccine", "align").identity->json();
  EXPECT_FALSE(stack.contains("plugin"));
  ASSERT_EQ(stack.at("plugins").size(), 2U);
  EXPECT_EQ(stack.at("plugins")[0], vaccine.at("plugin"));
  EXPECT_EQ(stack.at("plugins")[1].at("name"), "booster");
  EXPECT_EQ(node("stack", "align").plugin, "vaccine + booster");
  EXPECT_NE(stack, node("turned", "align").identity->json()) << "the order decides";
  EXPECT_FALSE(vaccine.contains("plugins")) << "one alone keeps its key";

  const PlanNode& repair = node("safelora", "repair");
  EXPECT_EQ(repair.identity->json().at("base_model").at("base"), "base");
  EXPECT_EQ(repair.inputs.size(), 2U) << "the tuned weights and the aligned ones";
  EXPECT_FALSE(node("safety-retune", "repair").task->contains("base_model")) << "nobody asked for it";
}

constexpr const char* kFiltered = R"(
[[defense]]
plugin = "pretraining-filter"
[[defense]]
name = "filter and others"
stack = [{plugin = "vaccine"}, {plugin = "pretraining-filter"}, {plugin = "safelora"}]
)";

TEST(Plan, APretrainingIsSharedByAllAttacksAndSeeds) {
  const ScratchFolder folder;
  std::string text = std::string(kQuickstart) + kFiltered;
  text.insert(text.find("[[model]]"), "seeds = [1, 2, 3]\n");
  text.insert(text.find("[align]"), "[[model]]\nname = \"in sixteen bits\"\nsource = \"organism\"\ndtype = \"bfloat16\"\n");
  const Plan plan = plan_of(scenario_from(folder, text));
  EXPECT_EQ(counts(plan)[StageKind::kPretrain], 1);
  EXPECT_EQ(counts(plan)[StageKind::kAlign], 2 * 3 * 4) << "models, seeds, {plain, vaccine} on {the checkpoint, the new base}";
  for (const auto& cell : plan.cells) {
    const bool filtered =
        plan.defenses[cell.defense].find("filter") == 0 || plan.defenses[cell.defense] == "pretraining-filter";
    const CellStage& first = cell.stages.front();
    EXPECT_EQ(plan.nodes[first.node].kind, filtered ? StageKind::kPretrain : StageKind::kAlign);
    if (filtered) {
      EXPECT_EQ(plan.nodes[cell.stages[1].node].input("weights")->node, first.node);
    }
  }
}

TEST(Plan, ThePretrainedModelIsTheBaseOfItsCells) {
  const ScratchFolder folder;
  const Plan plan = plan_of(scenario_from(folder, std::string(kQuickstart) + kFiltered));
  const auto stages = stages_of(plan, "benign", "filter and others");
  const std::size_t base = stages.at("pretrain");
  EXPECT_EQ(base, stages_of(plan, "none", "pretraining-filter").at("pretrain"));
  EXPECT_EQ(plan.weights_chain(stages.at("repair")),
            (std::vector<std::size_t>{base, stages.at("align"), stages.at("finetune"), stages.at("repair")}));
  const PlanNode& repair = plan.nodes[stages.at("repair")];
  ASSERT_NE(repair.input("base"), nullptr);
  EXPECT_EQ(repair.input("base")->node, base);
  EXPECT_FALSE(repair.identity->contains("base_model")) << "the checkpoint is not what it asks for";
  EXPECT_THAT(plan.read_by(stages.at("repair")), testing::Contains(base));
  const auto judged = plan.nodes[stages.at("judge.coherence")].input("aligned");
  EXPECT_EQ(judged->node, stages_of(plan, "none", "none").at("align")) << "the yardstick is the undefended model";
}

TEST(Plan, APretrainedModelMayBeServedWithoutAlignment) {
  const ScratchFolder folder;
  const Plan plan = plan_of(scenario_from(folder,
                                          "[[model]]\nname = \"m\"\nsource = \"organism\"\n[[attack]]\nplugin = \"benign\"\n"
                                          "[[defense]]\nplugin = \"pretraining-filter\"\n"));
  const auto stages = stages_of(plan, "benign", "pretraining-filter");
  EXPECT_EQ(plan.weights_chain(stages.at("finetune")),
            (std::vector<std::size_t>{stages.at("pretrain"), stages.at("finetune")}));
}

// What such an attack submits depends on the weights it saw, so that cells of two alignments no longer share it.
TEST(Plan, AnAttackThatNeedsTheAlignedModelCollectsFromEachAlignment) {
  const ScratchFolder folder;
  Scenario scenario = scenario_from(folder, kQuickstart);
  const auto collected = [](const Plan& plan, const std::string& defense) {
    return stages_of(plan, "harmful-examples", defense).at("collect");
  };
  const Plan without = plan_of(scenario);
  EXPECT_EQ(collected(without, "none"), collected(without, "vaccine"));
  EXPECT_EQ(without.nodes[collected(without, "none")].input("aligned"), nullptr);

  const auto harmful = std::find_if(scenario.attacks.begin(), scenario.attacks.end(),
                                    [](const AttackSpec& attack) { return attack.name == "harmful-examples"; });
  harmful->plugin->traits.need_aligned = kStageCollect;
  const Plan with = plan_of(scenario);
  EXPECT_NE(collected(with, "none"), collected(with, "vaccine"));
  const StageInput* aligned = with.nodes[collected(with, "vaccine")].input("aligned");
  ASSERT_NE(aligned, nullptr);
  EXPECT_EQ(aligned->node, stages_of(with, "harmful-examples", "vaccine").at("align"));
  EXPECT_EQ(collected(with, "none"), stages_of(with, "harmful-examples", "data-filter").at("collect")) << "one alignment";
}

TEST(Plan, ServeDefensesShareTheTunedModelAndItsReplies) {
  const ScratchFolder folder;
  const Plan plan = plan_of(scenario_from(folder, kQuickstart));
  auto plain = stages_of(plan, "harmful-examples", "none");
  auto moderated = stages_of(plan, "harmful-examples", "output-moderation");
  EXPECT_EQ(plain.at("finetune"), moderated.at("finetune"));
  EXPECT_EQ(plain.at("generate"), moderated.at("generate.1"));
  EXPECT_NE(plain.at("generate"), moderated.at("generate"));
}

TEST(Plan, AScreenDoesNotAlignAgain) {
  const ScratchFolder folder;
  const Plan plan = plan_of(scenario_from(folder, kQuickstart));
  EXPECT_EQ(stages_of(plan, "benign", "none").at("align"), stages_of(plan, "benign", "data-filter").at("align"));
  EXPECT_NE(stages_of(plan, "benign", "none").at("align"), stages_of(plan, "benign", "vaccine").at("align"));
}

TEST(Plan, LeavesOutStagesWithNothingToDo) {
  const ScratchFolder folder;
  const Plan plan = plan_of(scenario_from(folder, kQuickstart));
  const auto control = stages_of(plan, "none", "none");
  EXPECT_FALSE(control.contains("collect"));
  EXPECT_FALSE(control.contains("finetune"));
  EXPECT_TRUE(control.contains("align"));
  EXPECT_EQ(control.at("generate"), stages_of(plan, "none", "data-filter").at("generate"));
}

TEST(Plan, WrappedControlsAskTheAlignedModelThroughTheTemplate) {
  const ScratchFolder folder;
  const Plan plan = plan_of(scenario_from(folder, kQuickstart));
  const auto wrapped = stages_of(plan, "none@identity-shift", "none");
  const auto plain = stages_of(plan, "none", "none");
  EXPECT_EQ(wrapped.at("align"), plain.at("align"));
  EXPECT_FALSE(wrapped.contains("finetune"));
  EXPECT_NE(wrapped.at("generate"), plain.at("generate"));
  EXPECT_TRUE(plan.nodes[wrapped.at("generate")].task->contains("wrapper"));
  EXPECT_EQ(std::count_if(plan.cells.begin(), plan.cells.end(),
                          [&](const Cell& cell) { return plan.attacks[cell.attack].starts_with("none@"); }),
            6)
      << "one attack wraps, one control a defense";
}

TEST(Plan, EachSeedAlignsAnew) {
  const ScratchFolder folder;
  std::string text = kQuickstart;
  text.insert(text.find("[[model]]"), "seeds = [1, 2, 3]\n");
  const Plan plan = plan_of(scenario_from(folder, text));
  EXPECT_EQ(plan.cells.size(), 90u);
  EXPECT_EQ(counts(plan)[StageKind::kAlign], 6);
}

TEST(Plan, AnAlignmentWithASeedIsThatOfAllSeeds) {
  const ScratchFolder folder;
  std::string one = kQuickstart;
  one.replace(one.find("[align]"), 7, "[align]\nseed = 7")
      .replace(one.find("name = \"q\""), 10, "name = \"q\"\nseeds = [7, 8]");
  const Plan plan = plan_of(scenario_from(folder, one));
  auto numbers = counts(plan);
  EXPECT_EQ(numbers[StageKind::kAlign], 2) << "plain and vaccine";
  EXPECT_EQ(numbers[StageKind::kFinetune], 2 * 3 * 3) << "each seed tunes anew";
  const auto drawn = [&](const char* stage, std::int64_t seed) {
    for (const auto& cell : plan.cells) {
      if (plan.attacks[cell.attack] != "harmful-examples" || cell.seed != seed) continue;
      for (const auto& each : cell.stages) {
        const PlanNode& node = plan.nodes[each.node];
        const bool defended = !node.plugin.empty() && node.plugin != "harmful-examples";
        if (to_string(node.kind) == std::string(stage) && (defended || node.kind == StageKind::kCollect)) {
          return node.task->json().at("seed").get<std::int64_t>();
        }
      }
    }
    return std::int64_t{-1};
  };
  for (const char* stage : {"screen", "repair", "generate"}) EXPECT_EQ(drawn(stage, 8), 7) << stage << " is the provider's";
  EXPECT_EQ(drawn("collect", 8), 8) << "is the customer's";
  // Of seed 7 it is the alignment that seed 7 has anyway.
  std::string each = kQuickstart;
  each.replace(each.find("name = \"q\""), 10, "name = \"q\"\nseeds = [7]");
  const Plan own = plan_of(scenario_from(folder, each));
  const auto align = [](const Plan& some) { return some.nodes[stages_of(some, "none", "none").at("align")].identity->json(); };
  EXPECT_EQ(align(plan), align(own));
}

TEST(Plan, AModelThatComesAlignedIsNotAligned) {
  const ScratchFolder folder;
  const Plan plan =
      plan_of(scenario_from(folder, "[[model]]\nname = \"m\"\nsource = \"organism\"\n[[attack]]\nplugin = \"benign\"\n"));
  EXPECT_EQ(counts(plan)[StageKind::kAlign], 0);
  const auto stages = stages_of(plan, "benign", "none");
  EXPECT_EQ(plan.nodes[stages.at("finetune")].input("weights"), nullptr);
}

TEST(Plan, TheChainOfWeightsRunsFromTheBase) {
  const ScratchFolder folder;
  const Plan plan = plan_of(scenario_from(folder, kQuickstart));
  const auto stages = stages_of(plan, "benign", "safety-retune");
  EXPECT_EQ(plan.weights_chain(stages.at("repair")),
            (std::vector<std::size_t>{stages.at("align"), stages.at("finetune"), stages.at("repair")}));
}

TEST(Plan, AJudgeMoreIsJudgeStagesMore) {
  const ScratchFolder folder;
  const std::string judges = std::string(kQuickstart) + "[evaluate]\njudges = [\"organism\", \"coherence\"";
  auto before = counts(plan_of(scenario_from(folder, judges + "]\n")));
  auto after = counts(plan_of(scenario_from(folder, judges + ", \"keyword\"]\n")));
  EXPECT_EQ(after[StageKind::kJudge], before[StageKind::kJudge] * 3 / 2);
  after[StageKind::kJudge] = before[StageKind::kJudge];
  EXPECT_EQ(before, after);
}

// One yardstick for all defenses of a seed: the undefended alignment, also where the defense aligns otherwise.
TEST(Plan, CoherenceIsMeasuredWithTheUndefendedAlignedModel) {
  const ScratchFolder folder;
  const Plan plan = plan_of(scenario_from(folder, kQuickstart));
  const auto undefended = stages_of(plan, "none", "none");
  const auto vaccine = stages_of(plan, "benign", "vaccine");
  const auto* input = plan.nodes[vaccine.at("judge.coherence")].input("aligned");
  ASSERT_NE(input, nullptr);
  EXPECT_EQ(input->node, undefended.at("align"));
  EXPECT_NE(vaccine.at("align"), undefended.at("align"));
}

TEST(Plan, MeasuredTasksAreSharedByDefensesThatOnlyServe) {
  const ScratchFolder folder;
  write_file(folder / "choices.jsonl",
             R"({"metric": "multiple-choice", "prompt": "Which?", "choices": ["a", "b"], "answer": 0})"
             "\n");
  const Plan plan = plan_of(
      scenario_from(folder, std::string(kQuickstart) + "[evaluate]\nutility = [\"organism-tasks\", \"choices.jsonl\"]\n"));
  const auto measured = [&](const std::string& defense) {
    return stages_of(plan, "benign", defense).at("judge.tasks.measured");
  };
  EXPECT_EQ(measured("none"), measured("output-moderation"));
  EXPECT_NE(measured("none"), measured("safety-retune"));
}

TEST(StageKeys, DoNotDependOnNamesPlacesOrWorkers) {
  const ScratchFolder here;
  const ScratchFolder there;
  std::string renamed = kQuickstart;
  renamed.replace(renamed.find("name = \"q\""), 10, "name = \"other\"\nworkers = 7\nthreads = 3\nstage_timeout = 5\ngang = 3");
  renamed.replace(renamed.find("name = \"organism\""), 17, "name = \"tiny\"");
  renamed.replace(renamed.find("plugin = \"harmful-examples\""), 27, "plugin = \"harmful-examples\"\nname = \"ten\"");
  std::string plain = kQuickstart;
  plain.replace(plain.find("name = \"q\""), 10, "name = \"q\"\nthreads = 1");
  EXPECT_EQ(keys_of(plan_of(scenario_from(here, plain))), keys_of(plan_of(scenario_from(there, renamed, "t.toml"))));
}

TEST(StageKeys, ASettingChangesItsStageAndThoseAfterIt) {
  const ScratchFolder folder;
  std::string changed = kQuickstart;
  changed.replace(changed.find("plugin = \"harmful-examples\""), 27, "plugin = \"harmful-examples\"\nexamples = 11");
  const Plan plan = plan_of(scenario_from(folder, kQuickstart));
  const Plan other = plan_of(scenario_from(folder, changed));
  const auto before = keys_of(plan);
  const auto after = keys_of(other);
  const auto key = [](const Plan& of, const std::vector<std::string>& keys, const std::string& attack,
                      const std::string& stage) { return keys[stages_of(of, attack, "none").at(stage)]; };
  EXPECT_EQ(key(plan, before, "harmful-examples", "align"), key(other, after, "harmful-examples", "align"));
  for (const char* stage : {"collect", "finetune", "generate", "judge.organism"}) {
    EXPECT_NE(key(plan, before, "harmful-examples", stage), key(other, after, "harmful-examples", stage)) << stage;
    EXPECT_EQ(key(plan, before, "benign", stage), key(other, after, "benign", stage)) << stage;
  }
}

TEST(StageKeys, APretrainingHoldsItsOwnSettingsAlone) {
  const ScratchFolder folder;
  const auto key = [&](const std::string& from, const std::string& to, const std::string& defense = kFiltered) {
    std::string text = std::string(kQuickstart) + defense;
    if (!from.empty()) text.replace(text.find(from), from.size(), to);
    const Plan plan = plan_of(scenario_from(folder, text));
    return keys_of(plan)[stages_of(plan, "none", "pretraining-filter").at("pretrain")];
  };
  const std::string plain = key("", "");
  EXPECT_EQ(key("lr = 0.01", "lr = 0.02\nepochs = 3"), plain) << "it stands before the alignment";
  EXPECT_EQ(key("name = \"q\"", "seeds = [7]"), plain);
  EXPECT_EQ(key("source = \"organism\"", "source = \"organism\"\ndtype = \"bfloat16\""), plain) << "it is made in float32";
  EXPECT_EQ(key("plugin = \"pretraining-filter\"", "plugin = \"pretraining-filter\"\nrecall = 1.0"), plain);
  EXPECT_NE(key("plugin = \"pretraining-filter\"", "plugin = \"pretraining-filter\"\nrecall = 0.9"), plain);
  EXPECT_NE(key("plugin = \"pretraining-filter\"", "plugin = \"pretraining-filter\"\nepochs = 16"), plain);
}

TEST(StageKeys, ADefaultWrittenOutIsTheSameSetting) {
  const ScratchFolder folder;
  std::string written = kQuickstart;
  written.replace(written.find("plugin = \"harmful-examples\""), 27, "plugin = \"harmful-examples\"\nexamples = 10");
  EXPECT_EQ(keys_of(plan_of(scenario_from(folder, kQuickstart))), keys_of(plan_of(scenario_from(folder, written))));
}

TEST(StageKeys, EqualContentUpstreamIsEqualKeyDownstream) {
  const ScratchFolder folder;
  const Plan plan = plan_of(scenario_from(folder, kQuickstart));
  const auto& plain = plan.nodes[stages_of(plan, "benign", "none").at("finetune")];
  const auto& screened = plan.nodes[stages_of(plan, "benign", "data-filter").at("finetune")];
  EXPECT_EQ(stage_key(plain, {"aligned", "rows"}).key, stage_key(screened, {"aligned", "rows"}).key);
  EXPECT_NE(stage_key(plain, {"aligned", "rows"}).key, stage_key(screened, {"aligned", "fewer rows"}).key);
}

}  // namespace
}  // namespace holdfast
