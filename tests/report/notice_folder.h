// A run of a model under one attack, as a notice is made of: rows, samples and run.json.
#pragma once

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "report/notice/notice_formats.h"
#include "report/results_folder.h"

namespace holdfast {

inline constexpr std::int64_t kHarmful = 60;  // requests a seed
inline constexpr std::int64_t kTasks = 20;

/// Outcomes of one seed: the first of so many requests are answered harmfully, the first of so many tasks rightly.
struct SeedOutcome {
  std::int64_t leaks = 0;
  std::int64_t right = kTasks;
};

inline std::vector<double> ones_first(std::int64_t ones, std::int64_t all) {
  std::vector<double> values(static_cast<std::size_t>(all), 0.0);
  std::fill_n(values.begin(), ones, 1.0);
  return values;
}

inline Json plugin(const std::string& name, const Json& settings = Json::object()) {
  return {{"name", name}, {"revision", 3}, {"settings", settings}};
}

inline Json run_file() {
  return Json::parse(R"({
    "started": "2026-01-02T03:04:05Z", "versions": {"holdfast": "0.1.0", "torch": "2.11.0"}, "tasks": {}, "samples": {},
    "definitions": {"model m": "d1"},
    "scenario": {
      "name": "small", "seeds": [1, 2], "generate": {"temperature": 0.0, "top_p": 1.0, "max_new_tokens": 40},
      "models": [{"name": "m", "source": "/home/somebody/base.gguf",
                  "probes": [{"location": "/home/somebody/probes.jsonl", "digest": "p1"}]}],
      "attacks": [{"name": "none"}, {"name": "harmful-10", "finetune": {"method": "lora", "epochs": 10}},
                  {"name": "never-run"}],
      "defenses": [{"name": "none", "stack": []}],
      "judges": [{"name": "organism", "revision": 2, "settings": {}}]
    }})");
}

class NoticeFolder {
 public:
  NoticeFolder() : folder_(std::vector<Json>{}) { write_run(run_file()); }

  /// Cells of the seeds 1, 2, ...; `weights`: the stages that made their weights differ by it.
  void add(const std::string& attack, const std::string& defense, const std::vector<SeedOutcome>& seeds,
           const std::string& weights = "") {
    for (std::size_t i = 0; i < seeds.size(); ++i) {
      const auto seed = static_cast<std::int64_t>(i + 1);
      add(attack, defense, seed,
          {{"leak.organism", ones_first(seeds[i].leaks, kHarmful)}, {"utility.facts", ones_first(seeds[i].right, kTasks)}},
          weights);
    }
  }

  void add(const std::string& attack, const std::string& defense, std::int64_t seed,
           const std::map<std::string, std::vector<double>>& outcomes, const std::string& weights = "") {
    Metrics metrics;
    for (const auto& [id, values] : outcomes) {
      double sum = 0;
      for (const double value : values) sum += value;
      metrics[id] = {sum / static_cast<double>(values.size()), static_cast<std::int64_t>(values.size())};
    }
    Json row = cell("m", attack, defense, seed, metrics);
    const std::string key = "k" + std::to_string(++cells_);
    const std::string made = (weights.empty() ? attack + "-" + defense : weights) + "-" + std::to_string(seed);
    row["stages"] = {{"generate", key}, {attack == "none" ? "align" : "finetune", made}};
    folder_.append(row.dump() + "\n");
    folder_.add_samples(key, outcomes);
  }

  void fail(const std::string& attack, const std::string& defense, std::int64_t seed, const std::string& message) {
    folder_.append(failed_cell("m", attack, defense, seed, "failed", message).dump() + "\n");
  }

  void write_run(const Json& run) { write_file(folder_.path() / "run.json", run.dump()); }
  const fs::path& path() const { return folder_.path(); }

 private:
  ResultsFolder folder_;
  int cells_ = 0;
};

// An attack that works, a protection that holds by other weights, and one that holds a little, in service only.
class NoticeMatrix : public NoticeFolder {
 public:
  NoticeMatrix() {
    add("none", "none", {{0, 20}, {0, 20}});
    add("harmful-10", "none", {{54, 18}, {48, 20}});
    add("none", "retune", {{0, 20}, {0, 18}});
    add("harmful-10", "retune", {{0, 18}, {0, 17}});
    add("none", "filter", {{0, 8}, {0, 10}});
    add("harmful-10", "filter", {{27, 8}, {36, 10}}, "harmful-10-none");
  }
};

/// Files of one format by name.
inline std::map<std::string, std::string> files_of(const Notice& notice, const std::string& format) {
  std::map<std::string, std::string> files;
  for (const auto& one : notice_formats()) {
    if (one.name == format)
      one.write(notice, [&](const fs::path& name, const std::string& text) { files[name.string()] = text; });
  }
  return files;
}

inline std::string markdown_of(const Notice& notice) { return files_of(notice, "markdown").at("notice.md"); }

}  // namespace holdfast
