#include "provider/hyperparameters.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <holdfast/error.h>

namespace holdfast {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

TrainingOptions ten_epochs() {
  TrainingOptions options;
  options.epochs = 10;
  options.batch_size = 4;
  options.lr = 2e-4;
  return options;
}

Json said(const std::string& name, const TrainingOptions& options, double base_lr = 0) {
  return hyperparameters(dialect(name), options, base_lr);
}

std::string refused(const std::string& name, const TrainingOptions& options, double base_lr = 0) {
  try {
    said(name, options, base_lr);
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

TEST(Hyperparameters, AreOpenAisMultipleOfItsOwnRate) {
  EXPECT_EQ(said("openai", ten_epochs(), 1e-4), Json({{"/method/supervised/hyperparameters/n_epochs", 10},
                                                      {"/method/supervised/hyperparameters/batch_size", 4},
                                                      {"/method/supervised/hyperparameters/learning_rate_multiplier", 2.0}}));
}

TEST(Hyperparameters, AreTogethersTypesOfTraining) {
  EXPECT_EQ(said("together", ten_epochs()),
            Json({{"/n_epochs", 10}, {"/batch_size", 4}, {"/learning_rate", 2e-4}, {"/training_type", {{"type", "Full"}}}}));
  TrainingOptions lora = ten_epochs();
  lora.method = "lora";
  lora.lora_rank = 8;
  lora.weight_decay = 0.1;
  lora.schedule = "linear";
  const Json request = said("together", lora);
  EXPECT_EQ(request.at("/training_type").dump(), R"({"type":"Lora"})");
  EXPECT_EQ(request.at("/training_type/lora_r"), 8);
  EXPECT_EQ(request.at("/training_type/lora_alpha"), 32);
  EXPECT_EQ(request.at("/weight_decay"), 0.1);
  EXPECT_EQ(request.at("/lr_scheduler").at("lr_scheduler_type"), "linear");
  EXPECT_FALSE(request.contains("/max_seq_length")) << "the provider's own counts where nothing is said";
}

TEST(Hyperparameters, AreFireworksRank) {
  TrainingOptions lora = ten_epochs();
  lora.method = "lora";
  lora.warmup_steps = 5;
  EXPECT_EQ(said("fireworks", lora), Json({{"/epochs", 10},
                                           {"/batchSizeSamples", 4},
                                           {"/learningRate", 2e-4},
                                           {"/loraRank", 16},
                                           {"/learningRateWarmupSteps", 5}}));
  EXPECT_FALSE(said("fireworks", ten_epochs()).contains("/loraRank"));
}

TEST(Hyperparameters, AreMistralsWithoutABatch) {
  TrainingOptions options = ten_epochs();
  EXPECT_THAT(refused("mistral", options), AllOf(HasSubstr("batch_size = 4"), Not(HasSubstr("epochs"))));
  options.batch_size = 8;
  EXPECT_EQ(said("mistral", options), Json({{"/hyperparameters/epochs", 10}, {"/hyperparameters/learning_rate", 2e-4}}));
}

TEST(Hyperparameters, ThatAnInterfaceHasNoWordsForAreRefusedByName) {
  TrainingOptions options = ten_epochs();
  options.method = "lora";
  options.warmup_steps = 10;
  options.schedule = "cosine";
  options.lora_targets = {"q_proj"};
  EXPECT_THAT(refused("openai", options, 1e-4),
              AllOf(HasSubstr("\"openai\""), HasSubstr("method = \"lora\""), HasSubstr("warmup_steps = 10"),
                    HasSubstr("schedule = \"cosine\""), HasSubstr("lora_targets = [\"q_proj\"]"), HasSubstr("leave that out")));
  EXPECT_THAT(refused("together", options),
              AllOf(HasSubstr("warmup_steps"), HasSubstr("lora_targets"), Not(HasSubstr("method"))));
  options = ten_epochs();
  options.schedule = "step";
  EXPECT_THAT(refused("together", options), HasSubstr("schedule = \"step\""));
  options = ten_epochs();
  options.lora_rank = 4;
  EXPECT_THAT(refused("together", options), HasSubstr("lora_rank = 4")) << "a rank without LoRA would say nothing";
}

TEST(Dialects, AreFoundByTheirNames) {
  EXPECT_EQ(dialect_names(), (std::vector<std::string>{"openai", "together", "fireworks", "mistral"}));
  EXPECT_THROW(dialect("vertex"), Error);
}

// What a table lacks would be found only where it is asked.
TEST(Dialects, SayAllThatAJobTakes) {
  for (const auto& each : dialects()) {
    SCOPED_TRACE(each.name);
    EXPECT_FALSE(each.upload_path.empty());
    EXPECT_NE(each.file_id.empty(), each.file_name.empty());
    EXPECT_FALSE(each.create_path.empty());
    EXPECT_NE(each.names_jobs, !each.list_path.empty()) << "a job must be found again";
    EXPECT_FALSE(each.waits.empty());
    EXPECT_FALSE(each.succeeded.empty());
    EXPECT_FALSE(each.failed.empty());
    EXPECT_FALSE(each.tuned_model.empty());
    EXPECT_EQ(each.has_account, each.create_path.find("{account}") != std::string::npos);
  }
}

}  // namespace
}  // namespace holdfast
