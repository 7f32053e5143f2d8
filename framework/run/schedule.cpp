#include "run/schedule.h"

namespace holdfast {
namespace {

constexpr double kWarmBonus = 1.5;  // a stage whose weights are warm may overtake one with a way this much longer

}  // namespace

// Nothing that makes weights comes after them.
bool Schedule::finishes_cells(std::size_t node) const {
  const StageKind kind = plan_.nodes[node].kind;
  return kind == StageKind::kGenerate || kind == StageKind::kJudge;
}

void Schedule::add(std::size_t node, const std::string& weights) {
  by_path_.emplace(paths_[node], node);
  Shelf& shelf = by_weights_[weights];
  (finishes_cells(node) ? shelf.finishing : shelf.others).emplace(paths_[node], node);
  weights_[node] = weights;
}

void Schedule::remove(std::size_t node) {
  const auto weights = weights_.find(node);
  if (weights == weights_.end()) return;
  by_path_.erase({paths_[node], node});
  const auto shelf = by_weights_.find(weights->second);
  (finishes_cells(node) ? shelf->second.finishing : shelf->second.others).erase({paths_[node], node});
  if (shelf->second.finishing.empty() && shelf->second.others.empty()) by_weights_.erase(shelf);
  weights_.erase(weights);
}

std::optional<std::size_t> Schedule::take(const std::set<std::string>& warm) {
  if (by_path_.empty()) return std::nullopt;
  const std::pair<double, std::size_t>* nearest = nullptr;
  const std::pair<double, std::size_t>* farthest = nullptr;  // of those on warm weights
  const auto look = [&](const std::string& weights) {
    const auto found = by_weights_.find(weights);
    if (found == by_weights_.end()) return;
    const auto& [finishing, others] = found->second;
    if (!finishing.empty() && (nearest == nullptr || *finishing.begin() < *nearest)) nearest = &*finishing.begin();
    if (!others.empty() && !weights.empty() && (farthest == nullptr || *others.rbegin() > *farthest))
      farthest = &*others.rbegin();
  };
  look("");
  for (const auto& weights : warm) look(weights);
  std::size_t taken = by_path_.rbegin()->second;
  if (nearest != nullptr) {
    taken = nearest->second;
  } else if (farthest != nullptr && farthest->first * kWarmBonus >= by_path_.rbegin()->first) {
    taken = farthest->second;
  }
  remove(taken);
  return taken;
}

}  // namespace holdfast
