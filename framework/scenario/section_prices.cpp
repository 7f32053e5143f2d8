// [prices]: what computing costs, so that reports can say it in money.
#include "learn/device.h"
#include "scenario/sections.h"

namespace holdfast {
namespace {

Json device_hours(ScenarioTable& prices, Mistakes& mistakes) {
  Json hours = Json::object();
  const toml::table* given = prices.table("device_hour");
  if (given == nullptr) return hours;
  ScenarioTable table(*given, "device_hour of [prices]", mistakes);
  for (const std::string& device : {std::string("cpu"), std::string("cuda"), other_accelerator()}) {
    if (!device.empty() && table.has(device)) hours[device] = table.number(device, 0, 0);
  }
  table.finish();
  return hours;
}

}  // namespace

void read_prices(Reading& reading, ScenarioTable& root) {
  if (!root.has("prices")) return;
  ScenarioTable table = root.section("prices");
  Json prices = {{"currency", table.text("currency", "USD")}};
  if (prices.at("currency") == "")
    table.mistake("currency", "the currency of [prices] is empty, expected a name such as \"USD\"");
  if (table.has("training_token")) prices["training_token"] = table.number("training_token", 0, 0);
  prices["device_hour"] = device_hours(table, reading.mistakes);
  table.finish();
  reading.scenario.prices = std::move(prices);
}

}  // namespace holdfast
