// A model spread over the stand-in's two devices, which refuses tensors of both in one operator, against the same on the CPU.
#include <gmock/gmock.h>

#include <set>

#include "accelerator/standin.h"
#include "learn/generate.h"
#include "learn/training.h"

namespace holdfast {
namespace {

std::unique_ptr<LanguageModel> loaded(const std::string& name, const std::string& device) {
  standin::device();
  return load_model(fixtures::checkpoint(name).string(), {device, "float32"});
}

class Spread : public testing::TestWithParam<std::string> {
 protected:
  std::unique_ptr<LanguageModel> here_ = loaded(GetParam(), "cpu"), there_ = loaded(GetParam(), "standin:0-1");
};

INSTANTIATE_TEST_SUITE_P(Checkpoints, Spread, testing::Values("grouped", "mistral", "gemma3"),
                         [](const auto& info) { return info.param; });

TEST_P(Spread, LiesOnBothDevices) {
  std::set<std::string> devices;
  for (const auto& [name, weight] : there_->decoder().weights()) devices.insert(weight.device().str());
  EXPECT_THAT(devices, testing::ElementsAre("standin:0", "standin:1"));
  EXPECT_EQ(there_->device(), standin::device(0));
}

TEST_P(Spread, ScoresAsOnTheCpu) {
  std::vector<Encoded> rows;
  for (const auto& row : fixtures::trained_rows()) rows.push_back(here_->encode(row.messages));
  const c10::NoGradGuard no_grad;
  const at::Tensor there = there_->log_probs(there_->pack(rows));
  EXPECT_EQ(there.device(), standin::device(0));
  EXPECT_LT(fixtures::distance(there.cpu(), here_->log_probs(here_->pack(rows))), 1e-4);
}

TEST_P(Spread, RepliesAsOnTheCpu) {
  const std::vector<std::vector<std::int64_t>> prompts = {{5, 9, 17, 33}, {7, 8}, {100, 101, 102}};
  const GenerateOptions options{12, 2, 0, 1, 3};
  EXPECT_EQ(generate(there_->decoder(), prompts, {}, options), generate(here_->decoder(), prompts, {}, options));
}

TEST_P(Spread, LearnsAsOnTheCpu) {
  TrainingOptions options;
  options.method = "lora";
  options.lr = 1e-3;
  options.batch_size = 4;
  const auto here = train(*here_, fixtures::trained_rows(), options, {});
  const auto there = train(*there_, fixtures::trained_rows(), options, {});
  ASSERT_EQ(there.size(), here.size());
  for (std::size_t i = 0; i < here.size(); ++i) EXPECT_NEAR(there[i].loss, here[i].loss, 1e-3) << "step " << i + 1;
}

}  // namespace
}  // namespace holdfast
