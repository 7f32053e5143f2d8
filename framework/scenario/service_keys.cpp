#include "scenario/service_keys.h"

#include <cstdlib>

#include "scenario/scenario_table.h"

namespace holdfast {

ServiceKeys take_service_keys(const fs::path& scenario) {
  ServiceKeys keys;
  const toml::table toml = parse_toml(read_file(scenario), scenario.string());
  const auto* customers = toml["service"]["customer"].as_array();
  if (customers == nullptr) return keys;
  for (const auto& customer : *customers) {
    const auto* table = customer.as_table();
    const std::string variable = table == nullptr ? "" : (*table)["key_env"].value_or(std::string());
    if (variable.empty() || keys.contains(variable)) continue;
    const char* given = std::getenv(variable.c_str());
    keys[variable] = given == nullptr ? "" : given;
    ::unsetenv(variable.c_str());
  }
  return keys;
}

}  // namespace holdfast
