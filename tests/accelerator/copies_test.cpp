// What decoding and training carry between host and device: a fixed number of copies a step, however large the model is.
#include <gmock/gmock.h>

#include "accelerator/standin.h"
#include "learn/generate.h"
#include "learn/training.h"

namespace holdfast {
namespace {

using Ids = std::vector<std::int64_t>;

constexpr std::int64_t kSteps = 8;

// Of each of kSteps more steps, which must all be alike.
StandinCounts each_step(const std::function<void(std::int64_t)>& run_steps) {
  const auto few = standin::counts_of([&] { run_steps(kSteps); }), many = standin::counts_of([&] { run_steps(2 * kSteps); });
  const auto each = [](std::uint64_t more, std::uint64_t less) {
    EXPECT_EQ((more - less) % kSteps, 0U);
    return (more - less) / kSteps;
  };
  return {each(many.to_device, few.to_device), each(many.to_device_bytes, few.to_device_bytes),
          each(many.to_host, few.to_host),     each(many.to_host_bytes, few.to_host_bytes),
          each(many.reads, few.reads),         each(many.between, few.between)};
}

StandinCounts each_token(const Decoder& decoder, double temperature) {
  const std::vector<Ids> prompts = {{5, 9, 17, 33}, {7, 8}, {100, 101, 102}};
  return each_step([&](std::int64_t tokens) {
    const auto replies = generate(decoder, prompts, {}, {tokens, 3, temperature, 0.9, 1});
    for (const auto& reply : replies) ASSERT_EQ(static_cast<std::int64_t>(reply.size()), tokens);
  });
}

TEST(CopiesOfDecoding, AreTheChosenTokensAndWhereTheyStand) {
  const auto model = standin::load("grouped", at::kFloat, standin::device());
  const StandinCounts each = each_token(model->decoder(), 0);
  EXPECT_EQ(each.to_host, 1U);
  EXPECT_EQ(each.to_host_bytes, 3 * sizeof(std::int64_t)) << "the tokens' ids";
  EXPECT_LE(each.to_device, 2U) << "those ids, and their positions";
  EXPECT_LE(each.to_device_bytes, 2 * 3 * sizeof(std::int64_t));
  EXPECT_EQ(each.reads, 0U);
  EXPECT_EQ(each.between, 0U);
}

TEST(CopiesOfDecoding, AreAsManyWhereTokensAreDrawn) {
  const auto model = standin::load("grouped", at::kFloat, standin::device());
  const StandinCounts each = each_token(model->decoder(), 1);
  EXPECT_EQ(each.to_host, 1U);
  EXPECT_LE(each.to_device, 3U) << "ids, positions, and the numbers that decide";
  EXPECT_EQ(each.reads, 0U);
}

class CopiesOfTraining : public testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(Methods, CopiesOfTraining, testing::Values("full", "lora"),
                         [](const auto& info) { return info.param; });

TEST_P(CopiesOfTraining, AreTheRowsAndTwoFiguresOfTheRecord) {
  TrainingOptions options;
  options.method = GetParam();
  options.lr = 1e-4;
  options.batch_size = 7;  // all rows: a step an epoch
  const StandinCounts each = each_step([&](std::int64_t steps) {
    const auto model = standin::load("grouped", at::kFloat, standin::device());
    options.epochs = steps;
    ASSERT_EQ(static_cast<std::int64_t>(train(*model, fixtures::trained_rows(), options, {}).size()), steps);
  });
  EXPECT_LE(each.to_device, 3U) << "ids and labels, where a common prefix stands, positions";
  EXPECT_EQ(each.to_host, 0U);
  EXPECT_LE(each.reads, 2U) << "the loss and the norm of the gradient";
  EXPECT_EQ(each.between, 0U);
}

}  // namespace
}  // namespace holdfast
