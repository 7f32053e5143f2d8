// Against transformers and peft, by values that make_fixtures.py of tests/fixtures/llama and of tests/fixtures/architectures
// wrote.
#include <gmock/gmock.h>

#include <algorithm>

#include "learn/checkpoint_fixtures.h"
#include "learn/training.h"

namespace holdfast {
namespace {

using fixtures::expected;

class Checkpoint : public testing::TestWithParam<std::string> {
 protected:
  std::string name() const { return GetParam() == "gguf" ? "grouped.gguf" : GetParam(); }
  const Json& wanted() const { return expected()[GetParam()]; }
  std::unique_ptr<LanguageModel> model_ = fixtures::load(name());
};

using Trained = Checkpoint;

TEST_P(Checkpoint, LabelsAndLogProbabilitiesEqualTheReference) {
  for (const auto& row : wanted()["scores"]) {
    const Conversation messages = fixtures::conversation(row["messages"]);
    const Batch batch = model_->pack({model_->encode(messages)});
    ASSERT_EQ(fixtures::ids_of(batch.target_ids), row["ids"].get<std::vector<std::int64_t>>()) << row["messages"];
    const at::Tensor reference = at::tensor(row["logprobs"].get<std::vector<double>>(), at::kDouble);
    EXPECT_LT(fixtures::distance(fixtures::log_probs(*model_, messages), reference), 3e-5) << row["messages"];
  }
}

TEST_P(Trained, GreedyRepliesEqualTheReference) {
  std::vector<Conversation> prompts;
  for (const auto& row : wanted()["replies"]) prompts.push_back(fixtures::conversation(row["messages"]));
  GenerateOptions options;
  options.max_new_tokens = 16;
  options.batch_size = 4;
  const auto replies = model_->generate(prompts, options);
  ASSERT_EQ(replies.size(), wanted()["replies"].size());
  for (std::size_t i = 0; i < replies.size(); ++i) {
    EXPECT_EQ(replies[i].ids, wanted()["replies"][i]["ids"].get<std::vector<std::int64_t>>()) << "prompt " << i;
  }
}

TEST_P(Trained, TrainingLossesEqualTheReference) {
  const Json& training = wanted()["training"];
  TrainingOptions options;
  options.lr = training["lr"];
  options.batch_size = training["batch_size"];
  options.epochs = training["epochs"];
  options.shuffle = false;
  const auto records = train(*model_, fixtures::dataset(training["data"]), options, {});
  ASSERT_EQ(records.size(), training["losses"].size());
  for (std::size_t i = 0; i < records.size(); ++i) {
    EXPECT_EQ(records[i].step, static_cast<std::int64_t>(i) + 1);
    EXPECT_NEAR(records[i].loss, training["losses"][i].get<double>(), 1e-4) << "step " << i + 1;
  }
}

std::string test_name(const testing::TestParamInfo<std::string>& info) {
  std::string name = info.param;
  std::replace(name.begin(), name.end(), '.', '_');
  return name;
}

INSTANTIATE_TEST_SUITE_P(Llama, Checkpoint, testing::Values("grouped", "sharded", "adapter", "gguf"), test_name);
INSTANTIATE_TEST_SUITE_P(Llama, Trained, testing::Values("grouped", "sharded"), test_name);
INSTANTIATE_TEST_SUITE_P(Architectures, Checkpoint,
                         testing::Values("llama2", "llama3", "mistral", "qwen2", "qwen3", "gemma2", "gemma3", "llama2.gguf",
                                         "llama3.gguf", "mistral.gguf", "qwen2.gguf", "qwen3.gguf", "gemma2.gguf",
                                         "gemma3.gguf"),
                         test_name);
INSTANTIATE_TEST_SUITE_P(Architectures, Trained,
                         testing::Values("llama2", "llama3", "mistral", "qwen2", "qwen3", "gemma2", "gemma3"), test_name);

// The fixtures would not see these parts if they made no difference.
TEST(Fixtures, ScalingAndAdapterMatter) {
  const auto last = [](const char* part) { return expected()[part]["scores"].back()["logprobs"].back().get<double>(); };
  EXPECT_GT(std::abs(last("grouped") - last("gguf")), 0.01);
  EXPECT_GT(std::abs(last("grouped") - last("adapter")), 0.01);
}

}  // namespace
}  // namespace holdfast
