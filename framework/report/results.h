// What a run left in cells.jsonl and samples/, pooled over seeds.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/file.h"
#include "report/outcomes.h"

namespace holdfast {

/// One metric of one (model, attack, defense) over the seeds whose cell is ok.
struct PooledMetric {
  double value = 0;            // mean over all probes of all seeds; of a perplexity the geometric one
  std::int64_t n = 0;          // probes times seeds
  double low = 0, high = 1;    // 95 %, seeds and probes both counted as samples (rate_interval, mean_interval)
  double least = 0, most = 0;  // smallest and largest value of a seed
  std::int64_t seeds = 0;
  Outcomes outcomes;  // empty when samples/ is gone; the interval then treats all replies as independent
};

/// A figure that a stage gave about itself, averaged over the seeds where it is finite.
struct PooledReport {
  double value = 0;
  std::int64_t seeds = 0;
  std::int64_t unknown = 0;  // seeds where it is not
};

struct CellGroup {
  std::string model, attack, defense;
  std::int64_t ok = 0, failed = 0, timeout = 0;  // seeds by status
  std::map<std::string, PooledMetric> metrics;   // of the ok ones
  std::map<std::string, std::int64_t> unknown;   // ok seeds by metric whose figure is not finite: they are in no metric
  std::map<std::string, PooledReport> reports;
  std::vector<std::string> messages;  // of the others, each once
  double seconds = 0;                 // mean cost of a cell
};

struct Results {
  std::vector<std::string> models;
  std::vector<std::string> attacks;   // "none" first; a wrapped control "none@x" stands before its attack "x"
  std::vector<std::string> defenses;  // "none" first
  std::vector<CellGroup> groups;

  /// Null when the run has no such cells.
  const CellGroup* find(const std::string& model, const std::string& attack, const std::string& defense) const;
};

/// Reads <folder>/cells.jsonl and the outcomes in <folder>/samples. A last line without its end (a run that was killed) is left
/// out; of two rows of one cell the later counts; a figure that is null, which is how one that was not finite is written, costs
/// itself only. Throws Error when there is no such file or a row is not what the schema says.
Results read_results(const fs::path& folder);

/// "x" of "none@x", else an empty string.
std::string wrapped_attack(const std::string& attack);

}  // namespace holdfast
