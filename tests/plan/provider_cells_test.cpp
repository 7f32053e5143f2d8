// Models behind providers' interfaces, as stages of a plan.
#include <gmock/gmock.h>

#include "plan/scenario_files.h"

namespace holdfast {
namespace {

using testing::Contains;
using testing::HasSubstr;
using testing::Key;
using testing::Not;
using testing::UnorderedElementsAre;

const std::string kLocal =
    "[[model]]\nname = \"local\"\nsource = \"organism\"\n[align]\ndata = \"builtin:organism/alignment\"\n";

std::string remote(const std::string& more = {}) {
  return R"([[model]]
name = "remote"
provider = "openai"
url = "http://127.0.0.1:9/v1/"
model = "base-model"
key_env = ""
consent = "nobody is asked"
spend_limit = 1
training_price = 8
input_price = 1
output_price = 2
base_lr = 1e-5
)" + more +
         "\n";
}

std::string scenario(const std::string& models, const std::string& more = {}) {
  return "[scenario]\nname = \"s\"\nseeds = [1, 2]\n" + models + R"([corpora]
harmful = "builtin:organism/harmful"
benign = "builtin:organism/benign"
[[attack]]
plugin = "harmful-examples"
[[defense]]
plugin = "safety-prompt"
)" + more +
         R"([evaluate]
judges = ["keyword"]
probes = ["builtin:organism/probes"]
limit = 2
)";
}

std::vector<std::string> names(const std::map<std::string, std::size_t>& stages) {
  std::vector<std::string> all;
  for (const auto& [name, node] : stages) all.push_back(name);
  return all;
}

TEST(ProviderCells, SubmitInThePlaceOfTraining) {
  const ScratchFolder folder;
  const Plan plan = plan_of(scenario_from(folder, scenario(remote())));
  EXPECT_THAT(
      names(stages_of(plan, "harmful-examples", "safety-prompt")),
      UnorderedElementsAre("collect", "screen", "submit", "generate.1", "generate", "judge.keyword", "judge.coherence"));
  EXPECT_THAT(names(stages_of(plan, "none", "none")), UnorderedElementsAre("generate", "judge.keyword", "judge.coherence"));
  for (const auto& node : plan.nodes) {
    EXPECT_FALSE(node.task->contains("model")) << "no worker looks for weights";
    if (node.kind == StageKind::kGenerate || node.kind == StageKind::kSubmit) {
      EXPECT_EQ(node.identity->json().at("provider"),
                Json({{"dialect", "openai"}, {"model", "base-model"}, {"url", "http://127.0.0.1:9/v1"}}));
    }
  }
  const auto stages = stages_of(plan, "harmful-examples", "none");
  EXPECT_EQ(plan.nodes[stages.at("submit")].identity->json().at("hyperparameters"),
            Json({{"/method/supervised/hyperparameters/n_epochs", 1},
                  {"/method/supervised/hyperparameters/batch_size", 8},
                  {"/method/supervised/hyperparameters/learning_rate_multiplier", 2e-5 / 1e-5}}));
  EXPECT_NE(plan.nodes[stages.at("generate")].input("job"), nullptr);
}

TEST(ProviderCells, HaveKeysWithoutLimitsKeysAndPatience) {
  const ScratchFolder folder;
  const auto keys = [&](const std::string& model) { return keys_of(plan_of(scenario_from(folder, scenario(model)))); };
  const auto first = keys(remote());
  ::setenv("HOLDFAST_TEST_PLAN_KEY", "sk-secret", 1);
  std::string other = remote("poll = 3\nretries = 1\ntimeout = 5\njob_timeout = 9\nconcurrency = 2\nrecording = \"r.jsonl\"");
  for (const auto& [old, fresh] : std::map<std::string, std::string>{{"key_env = \"\"", "key_env = \"HOLDFAST_TEST_PLAN_KEY\""},
                                                                     {"spend_limit = 1", "spend_limit = 7"},
                                                                     {"training_price = 8", "training_price = 9"},
                                                                     {"nobody is asked", "somebody was"}}) {
    other.replace(other.find(old), old.size(), fresh);
  }
  EXPECT_EQ(keys(other), first);
  for (const auto& [old, fresh] : std::map<std::string, std::string>{
           {"base-model", "another"}, {"127.0.0.1:9", "127.0.0.1:10"}, {"base_lr = 1e-5", "base_lr = 2e-5"}}) {
    std::string changed = remote();
    changed.replace(changed.find(old), old.size(), fresh);
    EXPECT_NE(keys(changed), first) << fresh;
  }
  ::unsetenv("HOLDFAST_TEST_PLAN_KEY");
}

TEST(ProviderCells, AreThoseThatNeedNoWeights) {
  const ScratchFolder folder;
  const std::string weights = R"([[attack]]
plugin = "refusal-direction"
[[defense]]
plugin = "vaccine"
[[defense]]
plugin = "data-filter"
by = "probe"
[[moderator]]
plugin = "data-filter"
by = "probe"
name = "probe"
[[moderator]]
plugin = "data-filter"
name = "phrases"
)";
  const Plan plan = plan_of(scenario_from(folder, scenario(kLocal + remote(), weights)));
  std::map<std::string, std::set<std::string>> attacks, defenses, stages;
  for (const auto& cell : plan.cells) {
    const std::string& model = plan.models[cell.model];
    attacks[model].insert(plan.attacks[cell.attack]);
    defenses[model].insert(plan.defenses[cell.defense]);
    for (const auto* all : {&cell.stages, &cell.moderators}) {
      for (const auto& stage : *all) stages[model].insert(plan.stage_names[stage.name]);
    }
  }
  EXPECT_THAT(attacks.at("local"), Contains("refusal-direction"));
  EXPECT_THAT(attacks.at("remote"), UnorderedElementsAre("none", "harmful-examples"));
  EXPECT_THAT(defenses.at("local"), UnorderedElementsAre("none", "safety-prompt", "vaccine", "data-filter"));
  EXPECT_THAT(defenses.at("remote"), UnorderedElementsAre("none", "safety-prompt"));
  EXPECT_THAT(stages.at("remote"), Contains("moderator.phrases"));
  EXPECT_THAT(stages.at("remote"), Not(Contains("moderator.probe")));
  EXPECT_THAT(stages.at("remote"), Not(Contains("align")));
  EXPECT_THAT(stages.at("local"), Contains("align"));
}

TEST(ProviderCells, RefuseWeightsWhereNobodyHasSome) {
  const auto refused =
      mistakes_of(scenario(remote(), "[[defense]]\nplugin = \"vaccine\"\n[[attack]]\nplugin = \"refusal-direction\"\n"));
  EXPECT_THAT(refused, Contains(HasSubstr("the attack \"refusal-direction\" edits weights")));
  const auto aligned = mistakes_of(scenario(remote() + "[align]\ndata = \"builtin:organism/alignment\"\n"));
  EXPECT_THAT(aligned, Contains(HasSubstr("[align]")));
}

TEST(ProviderCells, KeepTheirConsentAndNoSecret) {
  const ScratchFolder folder;
  const Json kept = to_json(scenario_from(folder, scenario(remote()))).at("models").at(0);
  EXPECT_EQ(kept.at("provider").at("consent"), "nobody is asked");
  EXPECT_EQ(kept.at("provider").at("spend_limit"), 1.0);
  EXPECT_FALSE(kept.contains("source"));
}

}  // namespace
}  // namespace holdfast
