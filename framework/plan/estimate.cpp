#include "plan/estimate.h"

#include <algorithm>

#include "store/digest_memory.h"

namespace holdfast {
namespace {

constexpr double kReferenceBytes = 2.5e6;  // the organism's: its seconds are what the table of stage kinds holds

bool trains_or_asks(const PlanNode& node) { return node.identity.contains("base"); }

// Stages are alike when kind, model and plugin are.
std::string class_of(StageKind kind, const Json& stage) {
  const std::string plugin = stage.contains("plugin") ? stage.at("plugin").at("name").get<std::string>() : "";
  return std::string(to_string(kind)) + " " + stage.value("base", std::string()) + " " + plugin;
}

}  // namespace

std::vector<double> estimate_seconds(const Plan& plan, const Scenario& scenario, const Store& store) {
  struct Mean {
    double sum = 0;
    double count = 0;
  };
  std::map<std::string, Mean> known;
  store.each([&](const Manifest& manifest) {
    Mean& mean = known[class_of(manifest.kind, manifest.document.at("stage"))];
    mean.sum += manifest.cost.value("seconds", 0.0);
    ++mean.count;
  });
  std::vector<double> scale;
  for (const auto& model : scenario.models) {
    scale.push_back(std::max(1.0, static_cast<double>(checkpoint_bytes(model.source)) / kReferenceBytes));
  }
  std::vector<double> seconds;
  for (const auto& node : plan.nodes) {
    const auto mean = known.find(class_of(node.kind, node.identity));
    seconds.push_back(mean != known.end() ? mean->second.sum / mean->second.count
                                          : about(node.kind).seconds * (trains_or_asks(node) ? scale[node.model] : 1));
  }
  return seconds;
}

std::vector<double> critical_paths(const Plan& plan, const std::vector<double>& seconds) {
  std::vector<double> paths(plan.nodes.size());
  for (std::size_t id = plan.nodes.size(); id-- > 0;) {
    double longest = 0;
    for (const std::size_t child : plan.nodes[id].children) longest = std::max(longest, paths[child]);
    paths[id] = seconds[id] + longest;
  }
  return paths;
}

double estimate_total(const Plan& plan, const std::vector<double>& seconds, const std::vector<bool>& to_run,
                      std::int64_t workers) {
  std::vector<double> left(seconds.size());
  double sum = 0;
  for (std::size_t id = 0; id < seconds.size(); ++id) sum += left[id] = to_run[id] ? seconds[id] : 0;
  const auto paths = critical_paths(plan, left);
  const double longest = paths.empty() ? 0 : *std::max_element(paths.begin(), paths.end());
  return std::max(longest, sum / static_cast<double>(workers));
}

}  // namespace holdfast
