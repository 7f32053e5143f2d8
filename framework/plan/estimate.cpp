#include "plan/estimate.h"

#include <algorithm>

#include "learn/checkpoint.h"

namespace holdfast {
namespace {

constexpr double kReferenceBytes = 2.5e6;  // the organism's: its seconds are what the table of stage kinds holds

// Of memory, in GiB: the program itself, and so many times a checkpoint's files. Those are 16-bit mostly, weights in memory
// 32-bit on a CPU; training all of them holds gradients, two moments and the parent too. As measured with SmolLM2-135M.
constexpr double kProgramGib = 0.5;
constexpr double kAsking = 3;
constexpr double kTrainingFactors = 4;
constexpr double kTrainingAll = 10;

double bytes_of(const ModelSpec& model) { return model.provider ? 0 : static_cast<double>(checkpoint_bytes(model.source)); }

double times_checkpoint(const PlanNode& node) {
  switch (node.kind) {
    case StageKind::kCollect:
    case StageKind::kGenerate:
    case StageKind::kJudge:
    case StageKind::kScreen:
      return kAsking;
    default: {
      const std::string* options = node.task->find("options");
      const bool factors = options != nullptr && Json::parse(*options).value("method", "") == "lora";
      return factors ? kTrainingFactors : kTrainingAll;
    }
  }
}

}  // namespace

std::vector<double> estimate_seconds(const Plan& plan, const Scenario& scenario, const StoreIndex& index) {
  std::vector<double> scale;
  for (const auto& model : scenario.models) {
    scale.push_back(std::max(1.0, bytes_of(model) / kReferenceBytes));
  }
  std::vector<double> seconds;
  seconds.reserve(plan.nodes.size());
  for (const auto& node : plan.nodes) {
    const std::string* base = node.identity->find("base");  // of a stage that trains or asks a model
    const std::string plugin = node.identity->contains("plugin") || node.identity->contains("plugins") ? node.plugin : "";
    const auto mean = index.mean_seconds(node.kind, base == nullptr ? "" : Json::parse(*base).get<std::string>(), plugin);
    seconds.push_back(mean ? *mean : about(node.kind).seconds * (base == nullptr ? 1 : scale[node.model]));
  }
  return seconds;
}

std::vector<double> estimate_gib(const Plan& plan, const Scenario& scenario) {
  std::vector<double> checkpoints;
  for (const auto& model : scenario.models) {
    checkpoints.push_back(bytes_of(model) / static_cast<double>(1ULL << 30));
  }
  std::vector<double> gib;
  gib.reserve(plan.nodes.size());
  for (const auto& node : plan.nodes) {
    const bool has_model = node.identity->find("base") != nullptr;
    gib.push_back(kProgramGib + (has_model ? times_checkpoint(node) * checkpoints[node.model] : 0));
  }
  return gib;
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
