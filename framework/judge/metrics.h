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

/// Whether a metric with these outcomes is a share: all are 0 or 1, and the id does not say that it is a number ("score.",
/// "margin.", "unsafe-score.", "perplexity.", "learned."), which may be 0 or 1 by chance.
bool is_share(const std::string& id, const std::vector<double>& outcomes);

/// Means of the outcomes by metric id. Shares get Wilson's interval, others the normal one;
/// of logarithms both are exponentiated.
std::map<std::string, Metric> aggregate(const std::vector<std::map<std::string, double>>& outcomes);

Json to_json(const Metric& metric);

}  // namespace holdfast
