// From outcomes to metrics with their uncertainty.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/json.h"

namespace holdfast {

struct Metric {
  double value = 0;    // mean outcome
  std::int64_t n = 0;  // replies that have the outcome
  double low = 0;      // 95 % interval
  double high = 0;
};

/// Wilson's 95 % score interval of a share.
Metric wilson(double successes, std::int64_t n);

/// Whether outcomes of the metric are logarithms: "perplexity." ids, whose outcomes are nats a token. Their value and interval
/// are exponentials of those of the outcomes.
bool is_log_scale(const std::string& id);

/// Means of the outcomes by metric id. Outcomes that are all 0 or 1 get Wilson's interval, others the normal one;
/// of logarithms both are exponentiated.
std::map<std::string, Metric> aggregate(const std::vector<std::map<std::string, double>>& outcomes);

Json to_json(const Metric& metric);

}  // namespace holdfast
