#include "report/figures.h"

#include <cmath>
#include <cstdio>

#include "judge/metrics.h"
#include "report/metric_roles.h"

namespace holdfast {

std::string fixed(double value, int digits) {
  char text[64];
  std::snprintf(text, sizeof(text), "%.*f", digits, value);
  return text;
}

std::string percent(double share) { return fixed(std::round(100 * share), 0); }

std::string percent_interval(const Interval& share) {
  return percent(share.value) + " (" + percent(share.low) + "-" + percent(share.high) + ")";
}

std::string points(double difference) { return (difference > 0 ? "+" : "") + fixed(100 * difference, 0); }

std::string p_text(double p) { return p < 0.001 ? "<0.001" : fixed(p, 3); }

std::string counted(std::int64_t n, const std::string& noun) { return std::to_string(n) + " " + noun + (n == 1 ? "" : "s"); }

std::string figure(const std::string& metric, double value) {
  if (is_log_scale(metric)) return fixed(value, 1);
  return is_score(metric) ? fixed(value, 2) : percent(value);
}

std::string with_interval(const std::string& metric, const PooledMetric& pooled) {
  return figure(metric, pooled.value) + " (" + figure(metric, pooled.low) + "-" + figure(metric, pooled.high) + ")";
}

}  // namespace holdfast
