// What runs next, and where.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <unordered_set>
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
  /// `gang`: the most stages that a worker runs together.
  Schedule(const Plan& plan, std::vector<double> paths, std::size_t gang = 1)
      : plan_(plan), paths_(std::move(paths)), gang_(gang) {}

  /// `weights`: the content digest of the weights that the stage works on, empty where it needs none. `shape`: what it has in
  /// common with those that it can run together with; empty: it runs alone.
  void add(std::size_t node, const std::string& weights, const std::string& shape = "");
  /// From now on that stage runs alone.
  void isolate(std::size_t node) { isolated_.insert(node); }
  /// Does nothing when it is not there.
  void remove(std::size_t node);
  /// Takes the next stage out, for a worker with these weights in memory.
  std::optional<std::size_t> take(const std::set<std::string>& warm);
  /// The same with those that shall run together with it, the longest ways first: its share of all of that shape where `free`
  /// workers, this one among them, have nothing to do. Empty where no stage is ready.
  std::vector<std::size_t> take_gang(const std::set<std::string>& warm, std::size_t free);

  double path(std::size_t node) const { return paths_[node]; }
  /// The longest way of those that are ready, or 0.
  double longest() const { return by_path_.empty() ? 0 : by_path_.rbegin()->first; }

 private:
  using Order = std::set<std::pair<double, std::size_t>>;  // by path, nodes
  struct Shelf {
    Order finishing, others;
  };

  bool finishes_cells(std::size_t node) const;
  std::optional<std::size_t> next(const std::set<std::string>& warm) const;

  const Plan& plan_;
  std::vector<double> paths_;
  Order by_path_;                                         // all of them
  std::unordered_map<std::string, Shelf> by_weights_;     // the same by their weights
  std::unordered_map<std::size_t, std::string> weights_;  // ... and those of each
  std::size_t gang_;
  std::unordered_map<std::string, Order> by_shape_;      // those that need not run alone
  std::unordered_map<std::size_t, std::string> shapes_;  // ... and the shape of each
  std::unordered_set<std::size_t> isolated_;
};

}  // namespace holdfast
