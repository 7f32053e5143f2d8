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
      {"align", "c5daaf1c917556647d0099f14dd4135d656cd6341e5c72abe562f4604adb16b8"},
      {"collect", "e7f99ec8d592268100a035965dfcac255dce944ae6ed591960f0761929e5c5a5"},
      {"screen", "411c430d3a57a95cae5ff1091619099989763693ce9936b662834565db4a0d5a"},
      {"finetune", "651a49adbfc7d077f6390401aaf4a1e70ba55bfab8c38f3dee5daec803ade4af"},
      {"repair", "6e58d86b987909d197e7c251af4f19930d1a8045bb0bc2f3a9d5a0ec522b1e0c"},
      {"generate", "5b535f5c1a0a50e1d2e784b7e58ffdcb31b4cd169048e3e320c46bd0f0e8b0a2"},
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
      {"collect", "ba18a1a21cfc8ca6dae27cfad24015d7edbe9ad6ca9ff3505433b1510fbf2d38"},
      {"screen", "af165ae603bb0d43e4c40858a04398ab19ab897864b4cc0b51515d3a0fd40dbc"},
      {"finetune", "2d639c3c55e97dd6f6faa5d4ccae4b885bb8abdd86db73dd9e23a4be4f6893d7"},
      {"repair", "35b70474b2302d3752b9c2c0e4cd8ce7256094c1f97f6c83c568c8544647b6d5"},
      {"generate", "72ff28b10c4769f02c04c1799b53f21d3eb7433daafe2d71a183b8fcdb055a59"},
      {"judge", "c4c4ac170d11a831637577833de7aae054b08b9d86473824525626e08d6768b3"}};
  EXPECT_EQ(digests_of_keys(plan), expected);
}

// A corpus is in the keys of the stages whose plugins name it, and of no other.
TEST(PinnedKeys, ACorpusThatNobodyAsksForChangesNone) {
  const ScratchFolder folder;
  write_file(folder / "rows.jsonl", "{\"prompt\": \"q\", \"completion\": \"a\"}\n");
  const std::string before = R"([[model]]
name = "m"
source = "organism"
[align]
lr = 0.01
[[attack]]
plugin = "harmful-examples"
[[defense]]
plugin = "booster"
[[defense]]
name = "both"
stack = [{ plugin = "vaccine" }, { plugin = "booster" }]
)";
  const auto keys = [&](const std::string& more) { return digests_of_keys(plan_of(scenario_from(folder, before + more))); };
  const auto plain = keys("");
  EXPECT_EQ(keys("[corpora]\nmine = \"rows.jsonl\"\n"), plain);
  auto other = keys("[corpora]\ndefender-harmful = \"rows.jsonl\"\n");
  EXPECT_NE(other.at("align"), plain.at("align"));
  EXPECT_EQ(other.at("collect"), plain.at("collect"));
  other = keys("[corpora]\nharmful = \"rows.jsonl\"\n");
  EXPECT_EQ(other.at("align"), plain.at("align"));
  EXPECT_NE(other.at("collect"), plain.at("collect"));
}

}  // namespace
}  // namespace holdfast
