// From settled stages to result rows and samples.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "plan/plan.h"
#include "run/stage_graph.h"
#include "store/store.h"

namespace holdfast {

class Rows {
 public:
  Rows(const Plan& plan, const std::vector<NodeOutcome>& outcomes, Store& store)
      : plan_(plan), outcomes_(outcomes), store_(store) {}

  /// Whether the cell's fate is known: every stage is done, or one failed.
  bool complete(const Cell& cell) const;
  const std::string& key(std::size_t node) const { return outcomes_[node].key; }
  /// The node of the replies that are judged: the last generate stage.
  std::size_t replies_of(const Cell& cell) const;
  /// One row of cells.jsonl.
  Json row(const Cell& cell);
  /// Samples of a cell's replies with the judges' outcomes; text only when `full`.
  std::string samples(const Cell& cell, bool full);
  /// Digest of what samples() would be made of, without reading it.
  std::string samples_stamp(const Cell& cell, bool full) const;

 private:
  // By probe id, of all judges together.
  using CellOutcomes = std::map<std::string, std::map<std::string, double>>;

  bool is_judge(std::size_t node) const;
  const Manifest& manifest(std::size_t node);
  const CellOutcomes& outcomes(const Cell& cell);
  Json cost(const Cell& cell);
  Json reports(const Cell& cell);

  const Plan& plan_;
  const std::vector<NodeOutcome>& outcomes_;
  Store& store_;
  std::map<std::string, Manifest> manifests_;   // by key
  std::map<std::string, CellOutcomes> judged_;  // by samples_stamp
};

}  // namespace holdfast
