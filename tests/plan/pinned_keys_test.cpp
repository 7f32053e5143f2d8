// Keys of artifacts that users have: a change here makes them compute everything anew, so it must be meant.
#include <gtest/gtest.h>

#include "base/digest.h"
#include "plan/scenario_files.h"
#include "plan/stage_key.h"

namespace holdfast {
namespace {

// By kind, a digest of the keys of its stages in the plan's order. Inputs have a made-up content each.
std::map<std::string, std::string> digests_of_keys(const Plan& plan) {
  std::map<std::string, Sha256> digests;
  for (const auto& node : plan.nodes) {
    std::vector<std::string> inputs;
    for (const auto& input : node.inputs) inputs.push_back("content " + std::to_string(input.node));
    const std::string key = stage_key(node, inputs).key;
    digests[to_string(node.kind)].update(key.data(), key.size());
  }
  std::map<std::string, std::string> texts;
  for (auto& [kind, digest] : digests) texts[kind] = digest.hex();
  return texts;
}

TEST(PinnedKeys, OfTheQuickstartStayWhatTheyAre) {
  const Plan plan = plan_of(load_scenario(fs::path(HOLDFAST_SOURCE_DIR) / "scenarios" / "quickstart.toml", shipped_plugins()));
  EXPECT_EQ(plan.nodes.size(), 393u);
  const std::map<std::string, std::string> expected = {
      {"align", "8d24f85c11ae6666753c55184af08b0df45668c10bd6ca00867fa500647c5035"},
      {"collect", "086f2ff4cd4b96ee115a2dc82ab2bd451c13ff9aa58a7198a42e6b6319f103b0"},
      {"screen", "65428b3c41b4ca8d05fee8d33bd4802188a988a0270e70410db6fd9291aeb470"},
      {"finetune", "651a49adbfc7d077f6390401aaf4a1e70ba55bfab8c38f3dee5daec803ade4af"},
      {"repair", "1c829b00597cee80174f868e56675ce2b40004a314f7b2bd6b586195f3183c54"},
      {"generate", "d99123146552d732702aceb0d60e4da134c33eead4d2f19f2e2f2cc057ae9290"},
      {"judge", "4a12c061548da1a7a8e3138ff5d4e808d6fb5380c04b3eb26f45625212f40a63"}};
  EXPECT_EQ(digests_of_keys(plan), expected);
}

// Two models, sampled replies, a stack that serves twice, tasks measured on weights, judges of all needs.
TEST(PinnedKeys, OfARichScenarioStayWhatTheyAre) {
  const ScratchFolder folder;
  write_file(folder / "choices.jsonl",
             R"({"metric": "multiple-choice", "prompt": "Which?", "choices": ["a", "b"], "answer": 0})"
             "\n");
  const Plan plan = plan_of(scenario_from(folder, R"([scenario]
name = "rich"
seeds = [1, 2]
[[model]]
name = "one"
source = "organism"
[[model]]
name = "two"
source = "organism"
dtype = "bfloat16"
[align]
lr = 0.01
[finetune]
method = "lora"
[[attack]]
plugin = "identity-shift"
finetune = { epochs = 2 }
[[attack]]
plugin = "benign"
[[defense]]
name = "both"
stack = [{plugin = "data-filter", by = "probe"}, {plugin = "safety-retune"}, {plugin = "output-moderation"},
         {plugin = "output-moderation", by = "probe"}]
[evaluate]
judges = ["organism", "coherence", "likelihood", {name = "keyword"}, {name = "likelihood", id = "b"}]
utility = ["organism-tasks", "choices.jsonl"]
temperature = 0.7
limit = 5
)"));
  EXPECT_EQ(plan.nodes.size(), 292u);
  const std::map<std::string, std::string> expected = {
      {"align", "de1ff183b54bb845d82c64a3acc38c854c38a0b899ffbc258a34d579de7b5bd1"},
      {"collect", "930b39d7a430e4e09bb337da76a81b3841602f5baba064ee56ebba1473c2d47f"},
      {"screen", "5ababaa982d4ae2957d7942278b8f5a10face906211bf7ba225e5e90a9af9356"},
      {"finetune", "2d639c3c55e97dd6f6faa5d4ccae4b885bb8abdd86db73dd9e23a4be4f6893d7"},
      {"repair", "885b9e9faf84671fa9dd2d25305e6e8f3ea6df61bcec0ce8f0311c6ecb234722"},
      {"generate", "4b9ddfc40028ed4ac7315a933e610cb6c8c0f8e7138eba0c22abc8b92210b412"},
      {"judge", "c4c4ac170d11a831637577833de7aae054b08b9d86473824525626e08d6768b3"}};
  EXPECT_EQ(digests_of_keys(plan), expected);
}

}  // namespace
}  // namespace holdfast
