#include "scenario/declared_options.h"

namespace holdfast {

std::string read_option(ScenarioTable& table, const OptionRule& rule, const std::string& fallback) {
  return rule.choices.empty() ? table.text(rule.name, fallback) : table.choice(rule.name, fallback, rule.choices);
}

std::int64_t read_option(ScenarioTable& table, const OptionRule& rule, std::int64_t fallback) {
  const auto highest = rule.highest < kUnlimited ? static_cast<std::int64_t>(rule.highest) : INT64_MAX;
  return table.integer(rule.name, fallback, static_cast<std::int64_t>(rule.lowest), highest);
}

double read_option(ScenarioTable& table, const OptionRule& rule, double fallback) {
  return table.number(rule.name, fallback, rule.lowest, rule.highest);
}

bool read_option(ScenarioTable& table, const OptionRule& rule, bool fallback) { return table.flag(rule.name, fallback); }

std::vector<std::string> read_option(ScenarioTable& table, const OptionRule& rule, const std::vector<std::string>& fallback) {
  return table.texts(rule.name, fallback);
}

}  // namespace holdfast
