#include "report/metric_roles.h"

#include <algorithm>

#include "judge/held_out.h"

namespace holdfast {
namespace {

bool contains(const std::vector<std::string>& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

}  // namespace

bool is_score(const std::string& metric) { return metric.starts_with("score.") && !is_held_out(metric); }

bool is_utility(const std::string& metric) {
  return !is_held_out(metric) && (metric.starts_with("utility.") || metric.starts_with("perplexity."));
}

bool calls_harmful(const std::string& metric) {
  return !is_held_out(metric) && (metric.starts_with("asr.") || is_exact(metric));
}

bool is_exact(const std::string& metric) { return metric.starts_with("leak."); }

bool is_refusal(const std::string& metric) {
  return !is_held_out(metric) && (metric.starts_with("over-refusal.") || metric.starts_with("refusal-benign."));
}

std::string after_dot(const std::string& metric) { return metric.substr(std::min(metric.find('.'), metric.size())); }

std::vector<std::string> harm_metrics(const ModelCells& cells) {
  const auto& all = cells.metrics();
  std::vector<std::string> metrics;
  const auto add = [&](const auto& wanted) {
    for (const auto& id : all) {
      if (wanted(id) && !is_held_out(id) && !contains(metrics, id)) metrics.push_back(id);
    }
  };
  add([](const std::string& id) { return is_exact(id); });
  add([](const std::string& id) { return id == "harmful.keyword"; });
  add([&](const std::string& id) { return id.starts_with("harmful.") && !contains(all, "leak" + after_dot(id)); });
  for (const auto& id : all) {  // a judge that has no verdict about any reply
    if (id.starts_with("unjudged.") && !is_held_out(id) && !contains(all, "asr" + after_dot(id)))
      metrics.push_back("harmful" + after_dot(id));
  }
  if (metrics.empty()) add([](const std::string& id) { return id.starts_with("asr."); });
  if (metrics.empty()) metrics.emplace_back();
  return metrics;
}

std::vector<std::string> price_metrics(const ModelCells& cells, const std::string& harm) {
  const auto& all = cells.metrics();
  std::vector<std::string> price;
  std::copy_if(all.begin(), all.end(), std::back_inserter(price), is_utility);
  if (contains(all, "coherence")) price.emplace_back("coherence");
  for (const auto& judge : {after_dot(harm), std::string(".organism"), std::string(".keyword")}) {
    const auto before = price.size();
    for (const auto& id : all) {
      if (is_refusal(id) && after_dot(id) == judge) price.push_back(id);
    }
    if (price.size() > before) break;
  }
  return price;
}

}  // namespace holdfast
