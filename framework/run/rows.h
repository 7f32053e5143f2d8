// From settled stages to result rows and samples.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "plan/plan.h"
#include "results/cell_row.h"
#include "results/stage_row.h"
#include "run/stage_graph.h"
#include "store/store.h"

namespace holdfast {

class Rows {
 public:
  Rows(const Plan& plan, const std::vector<NodeOutcome>& outcomes, Store& store)
      : plan_(plan), outcomes_(outcomes), store_(store) {}

  bool done(std::size_t node) const { return outcomes_[node].state == NodeState::kDone; }
  bool failed(std::size_t node) const { return outcomes_[node].state == NodeState::kFailed; }
  /// Whether the cell's fate is known: every stage is done, or one failed. Looks at all its stages.
  bool complete(const Cell& cell) const;
  /// Hash of the keys of its stages, which its row is a function of while they are done.
  std::size_t keys_hash(const Cell& cell) const;

  CellRow row(const Cell& cell);
  /// The stage of a node that is done.
  StageRow stage(std::size_t node);
  /// The stage's training curve, as text; empty where it has none or its files are gone.
  std::string curve(std::size_t node) const;
  /// Key of the stage that made its replies.
  const std::string& generate_key(const Cell& cell) const;
  /// Samples of a cell's replies with the judges' outcomes; text only when `full`.
  std::string samples(const Cell& cell, bool full);
  /// Digest of what samples() would be made of, without reading it.
  std::string samples_stamp(const Cell& cell, bool full) const;

 private:
  // By the id of the probe, of all judges together; or of the customer's row.
  using CellOutcomes = std::map<std::string, std::map<std::string, double>>;

  // What a row says of a stage.
  struct StageFigures {
    Json cost, reports, versions;
  };

  bool is_judge(std::size_t node) const { return plan_.nodes[node].kind == StageKind::kJudge; }
  // Or utility tasks. What was learned of a customer's rows is no matter of the replies, which other cells may share.
  bool judges_replies(std::size_t node) const { return is_judge(node) && plan_.nodes[node].input("data") == nullptr; }
  const StageFigures& figures(std::size_t node);
  const CellOutcomes& outcomes(const Cell& cell);
  void add_verdicts(CellOutcomes& outcomes, std::size_t node) const;
  void add_cost(CellRow& row, const Cell& cell);
  Json reports(const Cell& cell);
  void add_metrics(CellRow& row, const Cell& cell);
  void add_refusal(CellRow& row, const Cell& cell);

  const Plan& plan_;
  const std::vector<NodeOutcome>& outcomes_;
  Store& store_;
  std::map<std::string, StageFigures> figures_;  // by key
  std::string judged_stamp_;                     // of the last cell that was asked about,
  CellOutcomes judged_;                          // and its outcomes: a cell's row and samples are made one after the other
};

}  // namespace holdfast
