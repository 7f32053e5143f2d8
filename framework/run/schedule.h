// What runs next, and where.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "plan/plan.h"

namespace holdfast {

/// The ready stages of a plan. A worker gets, in this order:
/// 1. of the stages that finish cells (replies and verdicts) on weights that it has in memory, or on none, the one that is
/// nearest
///    to the end of its cell, so that rows appear while the matrix runs;
/// 2. the stage with the longest way to the end, one on weights that it has in memory before one whose way is up to half
/// longer. Each call takes the logarithm of the number of ready stages, for each of a worker's few weights.
class Schedule {
 public:
  /// `paths`: each node's longest way to the end, in seconds, itself included (estimate.h).
  Schedule(const Plan& plan, std::vector<double> paths) : plan_(plan), paths_(std::move(paths)) {}

  /// `weights`: the content digest of the weights that the stage works on, empty where it needs none.
  void add(std::size_t node, const std::string& weights);
  /// Does nothing when it is not there.
  void remove(std::size_t node);
  /// Takes the next stage out, for a worker with these weights in memory.
  std::optional<std::size_t> take(const std::set<std::string>& warm);

  double path(std::size_t node) const { return paths_[node]; }
  /// The longest way of those that are ready, or 0.
  double longest() const { return by_path_.empty() ? 0 : by_path_.rbegin()->first; }

 private:
  using Order = std::set<std::pair<double, std::size_t>>;  // by path, nodes
  struct Shelf {
    Order finishing, others;
  };

  bool finishes_cells(std::size_t node) const;

  const Plan& plan_;
  std::vector<double> paths_;
  Order by_path_;                                         // all of them
  std::unordered_map<std::string, Shelf> by_weights_;     // the same by their weights
  std::unordered_map<std::size_t, std::string> weights_;  // ... and those of each
};

}  // namespace holdfast
