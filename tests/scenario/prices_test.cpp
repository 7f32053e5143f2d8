// [prices] of a scenario.
#include <gmock/gmock.h>
#include <holdfast/error.h>

#include "plan/scenario_files.h"

namespace holdfast {
namespace {

using testing::HasSubstr;

Scenario with_prices(const std::string& prices) { return scenario_from(ScratchFolder(), kOrganism + prices); }

std::string prices_refusal(const std::string& prices) {
  try {
    with_prices(prices);
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

TEST(Prices, AreReadAsTheyStand) {
  EXPECT_TRUE(with_prices("").prices.is_null());
  EXPECT_EQ(with_prices("[prices]\ntraining_token = 8e-6\ndevice_hour = { cpu = 0.05, cuda = 2.5 }\n").prices,
            parse_json(R"({"currency":"USD","training_token":8e-6,"device_hour":{"cpu":0.05,"cuda":2.5}})", "here"));
  EXPECT_EQ(with_prices("[prices]\ncurrency = \"EUR\"\ndevice_hour = { cpu = 1 }\n").prices,
            parse_json(R"({"currency":"EUR","device_hour":{"cpu":1.0}})", "here"));
}

TEST(Prices, AreRefusedByName) {
  EXPECT_THAT(prices_refusal("[prices]\ntraining_token = -1e-6\n"), HasSubstr("training_token"));
  EXPECT_THAT(prices_refusal("[prices]\ndevice_hour = { cpu = -1 }\n"), HasSubstr("cpu"));
  EXPECT_THAT(prices_refusal("[prices]\ndevice_hour = { gpu = 1 }\n"), HasSubstr("gpu"));
  EXPECT_THAT(prices_refusal("[prices]\ndevice_hours = { cpu = 1 }\n"), HasSubstr("device_hours"));
  EXPECT_THAT(prices_refusal("[prices]\ncurrency = \"\"\n"), HasSubstr("currency"));
}

// What it costs changes nothing that is computed.
TEST(Prices, AreInNoKey) {
  const ScratchFolder folder;
  const auto keys = [&](const std::string& prices) {
    std::vector<Json> tasks;
    for (const auto& node : plan_of(scenario_from(folder, kOrganism + prices)).nodes) tasks.push_back(node.task->json());
    return tasks;
  };
  EXPECT_EQ(keys(""), keys("[prices]\ntraining_token = 8e-6\n"));
}

}  // namespace
}  // namespace holdfast
