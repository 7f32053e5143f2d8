// What one or several runs left in cells.jsonl, stages.jsonl and samples/, pooled over seeds.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <tuple>
#include <vector>

#include "base/file.h"
#include "report/pooled.h"
#include "results/cell_row.h"
#include "results/run_facts.h"
#include "results/stage_row.h"

namespace holdfast {

/// A row, and the results folder that it is of.
struct RunRow : CellRow {
  fs::path folder;
};

struct CellGroup {
  std::string model, attack, defense;
  std::string threat_model = "api";              // of the attack (results/cell_row.h)
  std::string sweep;                             // whose try the attack is; empty
  Json tried = Json::object();                   // then: its settings
  std::int64_t ok = 0, failed = 0, timeout = 0;  // seeds by status
  std::map<std::string, PooledMetric> metrics;   // of the ok ones
  std::map<std::string, std::int64_t> unknown;   // ok seeds by metric whose figure is not finite: they are in no metric
  std::map<std::string, PooledReport> reports;
  std::vector<std::string> messages;  // of the others, each once
  double seconds = 0;                 // mean cost of a cell
  std::int64_t defender_rows = 0;     // most of a cell
  std::vector<RunRow> rows;           // its cells, by seed
};

class Results {
 public:
  std::vector<fs::path> folders;           // of the runs
  RunFacts facts;                          // of all runs together
  std::map<std::string, StageRow> stages;  // by key
  std::vector<std::string> models;
  std::vector<std::string> attacks;   // "none" first; a wrapped control "none@x" stands before its attack "x" or x's tries
  std::vector<std::string> defenses;  // "none" first
  std::vector<CellGroup> groups;      // as their first cells come in the file

  /// Null when the run has no such cells.
  const CellGroup* find(const std::string& model, const std::string& attack, const std::string& defense) const;
  /// The place of these cells in `groups`, which is made when there are none.
  std::size_t place(const std::string& model, const std::string& attack, const std::string& defense);

  /// What several formats ask for is made once: `name` says all that it depends on beside the rows. Not for two threads.
  template <typename T>
  const T& once(const std::string& name, const std::function<T()>& make) const {
    auto& made = made_[name];
    if (!made) made = std::make_shared<const T>(make());
    return *static_cast<const T*>(made.get());
  }

 private:
  std::map<std::tuple<std::string, std::string, std::string>, std::size_t> places_;
  mutable std::map<std::string, std::shared_ptr<const void>> made_;
};

/// Reads <folder>/cells.jsonl and the outcomes in <folder>/samples. A last line without its end (a run that was killed) is left
/// out; of two rows of one cell the later counts; a figure that is null, which is how one that was not finite is written, costs
/// itself only. Throws Error when there is no such file or a row is not what the schema says.
Results read_results(const fs::path& folder);

/// Several runs as one. Throws Error when they cannot stand on one board: an attack, defense, model, judge or set of probes
/// that has one name and two definitions (RunFacts::definitions), a run that does not say its own, other rules of the board, or
/// a cell that two runs have with different stages.
Results read_results(const std::vector<fs::path>& folders);

/// "x" of "none@x", else an empty string.
std::string wrapped_attack(const std::string& attack);

}  // namespace holdfast
