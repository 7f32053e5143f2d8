#include "plan/matrix_cost.h"

#include <unordered_map>

namespace holdfast {
namespace {

// For each node the first one of its key.
std::vector<std::size_t> first_of_key(const std::vector<std::string>& keys) {
  std::unordered_map<std::string, std::size_t> known;
  std::vector<std::size_t> first(keys.size());
  for (std::size_t id = 0; id < keys.size(); ++id) {
    first[id] = keys[id].empty() ? id : known.emplace(keys[id], id).first->second;
  }
  return first;
}

// Goes through what a cell needs, each stage once.
class Needs {
 public:
  Needs(const Plan& plan, const std::vector<double>& seconds, const std::vector<std::size_t>& first)
      : plan_(plan), seconds_(seconds), first_(first), seen_by_(plan.nodes.size()) {}

  double of(const Cell& cell) {
    ++cell_;
    double sum = 0;
    for (const auto* stages : {&cell.stages, &cell.moderators}) {
      for (const auto& stage : *stages) open_.push_back(stage.node);
    }
    while (!open_.empty()) {
      const std::size_t node = first_[open_.back()];
      open_.pop_back();
      if (seen_by_[node] == cell_) continue;
      seen_by_[node] = cell_;
      sum += seconds_[node];
      for (const auto& input : plan_.nodes[node].inputs) open_.push_back(input.node);
    }
    return sum;
  }

 private:
  const Plan& plan_;
  const std::vector<double>& seconds_;
  const std::vector<std::size_t>& first_;
  std::vector<std::size_t> seen_by_;  // by node: number of the last cell that needed it
  std::vector<std::size_t> open_;
  std::size_t cell_ = 0;
};

}  // namespace

MatrixCost matrix_cost(const Plan& plan, const std::vector<double>& seconds, const std::vector<std::string>& keys) {
  const auto first = first_of_key(keys);
  MatrixCost cost;
  for (std::size_t id = 0; id < first.size(); ++id) cost.distinct += first[id] == id ? seconds[id] : 0;
  Needs needs(plan, seconds, first);
  for (const auto& cell : plan.cells) cost.alone += needs.of(cell);
  return cost;
}

}  // namespace holdfast
