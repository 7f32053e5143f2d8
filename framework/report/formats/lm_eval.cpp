// Utility figures in the form of lm-evaluation-harness's results files: "results" by task with value and standard error,
// "n-samples", "higher_is_better" and "config". What a task's metric is called follows from run.json; acc for the organism's.
#include <algorithm>
#include <cmath>

#include "base/json.h"
#include "judge/metrics.h"
#include "report/file_names.h"
#include "report/reporter.h"

namespace holdfast {
namespace {

constexpr double kTaskVersion = 1.0;  // tasks are files of the user's own, which know no versions

// What lm-eval calls the metric of a task row ("metric" of docs/scenario.md).
std::string lm_eval_name(const std::string& metric) {
  if (metric == "multiple-choice") return "acc_norm";
  if (metric == "exact-match") return "exact_match";
  if (metric == "rouge-l") return "rougeL";
  return metric == "perplexity" ? "perplexity" : "acc";
}

struct Estimate {
  double value = 0;
  double error = 0;
};

// Mean and standard error over the probes; of a perplexity by the delta method.
Estimate estimate(const std::string& id, const std::vector<double>& outcomes) {
  const auto n = static_cast<double>(outcomes.size());
  Estimate found;
  for (const double outcome : outcomes) found.value += outcome / n;
  double squares = 0;
  for (const double outcome : outcomes) squares += (outcome - found.value) * (outcome - found.value);
  found.error = n > 1 ? std::sqrt(squares / (n - 1) / n) : 0;
  if (is_log_scale(id)) found.value = std::exp(found.value);
  if (is_log_scale(id)) found.error *= found.value;
  return found;
}

Json results_of(const CellGroup& cells, std::int64_t seed, const std::map<std::string, std::string>& tasks) {
  Json file;
  for (const auto* part : {"results", "group_subtasks", "configs", "versions", "n-shot", "higher_is_better", "n-samples"}) {
    file[part] = Json::object();
  }
  for (const auto& [id, metric] : cells.metrics) {
    const bool perplexity = is_log_scale(id);
    if (!perplexity && !id.starts_with("utility.")) continue;
    const auto& seeds = metric.outcomes.seeds;
    const auto row = std::find(seeds.begin(), seeds.end(), seed);
    if (row == seeds.end()) continue;
    const auto& outcomes = metric.outcomes.grid[static_cast<std::size_t>(row - seeds.begin())];
    const std::string task = id.substr(id.find('.') + 1);
    const auto named = tasks.find(task);
    const std::string name = lm_eval_name(named == tasks.end() ? "" : named->second);
    const Estimate found = estimate(id, outcomes);
    file["configs"][task] = {{"task", task}, {"num_fewshot", 0}, {"metadata", {{"version", kTaskVersion}}}};
    file["versions"][task] = kTaskVersion;
    file["n-shot"][task] = 0;
    file["results"][task] = {{"alias", task}, {name + ",none", found.value}, {name + "_stderr,none", found.error}};
    file["n-samples"][task] = {{"original", outcomes.size()}, {"effective", outcomes.size()}};
    file["higher_is_better"][task] = {{name, !perplexity}};
  }
  file["config"] = {{"model", "holdfast"},
                    {"model_args", "model=" + cells.model + ",attack=" + cells.attack + ",defense=" + cells.defense +
                                       ",seed=" + std::to_string(seed)}};
  return file;
}

std::vector<std::int64_t> seeds_of(const CellGroup& cells) {
  std::vector<std::int64_t> seeds;
  for (const auto& [id, metric] : cells.metrics) {
    for (const auto seed : metric.outcomes.seeds) {
      if (std::find(seeds.begin(), seeds.end(), seed) == seeds.end()) seeds.push_back(seed);
    }
  }
  return seeds;
}

class LmEvalReporter : public Reporter {
 public:
  void write(const Results& results, const ReportView&, const ReportSink& sink) const override {
    const auto tasks = results.facts.tasks;
    for (const auto& cells : results.groups) {
      const fs::path folder = cell_folder(cells.model, cells.attack, cells.defense);
      for (const auto seed : seeds_of(cells)) {
        const Json file = results_of(cells, seed, tasks);
        if (file.at("results").empty()) continue;
        sink(folder / ("results_seed-" + std::to_string(seed) + ".json"), file.dump(2) + "\n");
      }
    }
  }
};

}  // namespace

std::unique_ptr<Reporter> make_lm_eval_reporter() { return std::make_unique<LmEvalReporter>(); }

}  // namespace holdfast
