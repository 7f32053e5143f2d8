#include "judge/metrics.h"

#include <algorithm>
#include <cmath>

namespace holdfast {
namespace {

constexpr double kNormal95 = 1.959963984540054;

Metric normal(const std::vector<double>& outcomes) {
  const auto n = static_cast<double>(outcomes.size());
  double sum = 0;
  for (const double outcome : outcomes) sum += outcome;
  const double mean = sum / n;
  double squares = 0;
  for (const double outcome : outcomes) squares += (outcome - mean) * (outcome - mean);
  const double half = n > 1 ? kNormal95 * std::sqrt(squares / (n - 1) / n) : 0;
  return {mean, static_cast<std::int64_t>(outcomes.size()), mean - half, mean + half};
}

}  // namespace

Metric wilson(double successes, std::int64_t n) {
  if (n <= 0) return {0, 0, 0, 1};
  const auto count = static_cast<double>(n);
  const double share = successes / count;
  const double z2 = kNormal95 * kNormal95;
  const double scale = 1 + z2 / count;
  const double center = (share + z2 / (2 * count)) / scale;
  const double half = kNormal95 / scale * std::sqrt(share * (1 - share) / count + z2 / (4 * count * count));
  return {share, n, successes == 0 ? 0 : std::max(0.0, center - half), successes == count ? 1 : std::min(1.0, center + half)};
}

bool is_log_scale(const std::string& id) { return id.starts_with("perplexity."); }

bool is_share(const std::string& id, const std::vector<double>& outcomes) {
  for (const char* number : {"score.", "margin.", "unsafe-score.", "perplexity.", "learned."}) {
    if (id.starts_with(number)) return false;
  }
  return std::all_of(outcomes.begin(), outcomes.end(), [](double value) { return value == 0 || value == 1; });
}

std::map<std::string, Metric> aggregate(const std::vector<std::map<std::string, double>>& outcomes) {
  std::map<std::string, std::vector<double>> by_id;
  for (const auto& reply : outcomes) {
    for (const auto& [id, outcome] : reply) by_id[id].push_back(outcome);
  }
  std::map<std::string, Metric> metrics;
  for (const auto& [id, values] : by_id) {
    const auto successes = static_cast<double>(std::count(values.begin(), values.end(), 1.0));
    if (is_log_scale(id)) {
      const Metric log = normal(values);
      metrics[id] = {std::exp(log.value), log.n, std::exp(log.low), std::exp(log.high)};
    } else {
      metrics[id] = is_share(id, values) ? wilson(successes, static_cast<std::int64_t>(values.size())) : normal(values);
    }
  }
  return metrics;
}

Json to_json(const Metric& metric) {
  return {{"value", metric.value}, {"n", metric.n}, {"low", metric.low}, {"high", metric.high}};
}

}  // namespace holdfast
