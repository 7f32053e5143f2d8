// A reply's outcomes by metric, as verdicts and samples hold them.
#pragma once

#include <limits>
#include <map>
#include <string>

#include "base/json.h"

namespace holdfast {

/// The inverse of what Json makes of such a map, where a number that is not finite is null: it is read as NaN.
inline std::map<std::string, double> outcomes_from_json(const Json& json) {
  std::map<std::string, double> outcomes;
  for (const auto& [metric, value] : json.items()) {
    outcomes[metric] = value.is_null() ? std::numeric_limits<double>::quiet_NaN() : value.get<double>();
  }
  return outcomes;
}

}  // namespace holdfast
