#include "report/judge_agreement.h"

#include <algorithm>
#include <set>

#include "report/metric_roles.h"

namespace holdfast {
namespace {

using Counts = std::array<std::array<std::int64_t, 2>, 2>;

// Exact judges ("leak.") first, then by name.
std::vector<std::string> yes_or_no_metrics(const Results& results, const std::string& model) {
  std::set<std::string> names;
  for (const auto& cells : results.groups) {
    if (cells.model != model) continue;
    for (const auto& [id, metric] : cells.metrics) {
      if (calls_harmful(id) && are_shares(id, metric.outcomes.grid)) names.insert(id);
    }
  }
  std::vector<std::string> metrics(names.begin(), names.end());
  std::stable_partition(metrics.begin(), metrics.end(), is_exact);
  return metrics;
}

void count(const Paired& pair, std::map<std::string, Counts>& by_probe) {
  for (std::size_t seed = 0; seed < pair.before.size(); ++seed) {
    for (std::size_t probe = 0; probe < pair.probes.size(); ++probe) {
      ++by_probe[pair.probes[probe]][pair.before[seed][probe] != 0][pair.after[seed][probe] != 0];
    }
  }
}

}  // namespace

namespace {

std::vector<JudgePair> made_pairs(const Results& results, const std::string& model) {
  const auto metrics = yes_or_no_metrics(results, model);
  std::vector<JudgePair> pairs;
  for (std::size_t i = 0; i < metrics.size(); ++i) {
    for (std::size_t j = i + 1; j < metrics.size(); ++j) {
      std::map<std::string, Counts> by_probe;
      for (const auto& cells : results.groups) {
        const auto first = cells.metrics.find(metrics[i]);
        const auto second = cells.metrics.find(metrics[j]);
        if (cells.model != model || first == cells.metrics.end() || second == cells.metrics.end()) continue;
        if (const auto pair = paired(first->second.outcomes, second->second.outcomes)) count(*pair, by_probe);
      }
      if (by_probe.empty()) continue;
      std::vector<Counts> counts;
      for (const auto& [probe, each] : by_probe) counts.push_back(each);
      pairs.push_back({metrics[i], metrics[j], agreement(counts, kBootstrapSeed)});
    }
  }
  return pairs;
}

}  // namespace

std::vector<JudgePair> judge_pairs(const Results& results, const std::string& model) {
  return results.once<std::vector<JudgePair>>("judges\n" + model, [&] { return made_pairs(results, model); });
}

}  // namespace holdfast
