// Options that are declared in a table (base/option.h), read from a scenario.
#pragma once

#include "base/option.h"
#include "scenario/scenario_table.h"

namespace holdfast {

std::string read_option(ScenarioTable& table, const OptionRule& rule, const std::string& fallback);
std::int64_t read_option(ScenarioTable& table, const OptionRule& rule, std::int64_t fallback);
double read_option(ScenarioTable& table, const OptionRule& rule, double fallback);
bool read_option(ScenarioTable& table, const OptionRule& rule, bool fallback);
std::vector<std::string> read_option(ScenarioTable& table, const OptionRule& rule, const std::vector<std::string>& fallback);

/// `options` with what the scenario's table says of them.
template <typename Options>
Options read_options(ScenarioTable& table, const OptionTable<Options>& declared, Options options) {
  for (const auto& option : declared) {
    std::visit([&](auto of) { options.*of = read_option(table, option, options.*of); }, option.member);
  }
  return options;
}

}  // namespace holdfast
