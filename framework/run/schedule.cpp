#include "run/schedule.h"

#include <algorithm>

namespace holdfast {
namespace {

constexpr double kWarmBonus = 1.5;  // a stage whose weights are warm may overtake one with a way this much longer

}  // namespace

// Nothing that makes weights comes after them.
bool Schedule::finishes_cells(std::size_t node) const {
  const StageKind kind = plan_.nodes[node].kind;
  return kind == StageKind::kGenerate || kind == StageKind::kJudge;
}

void Schedule::add(std::size_t node, const std::string& weights, const std::string& shape) {
  by_path_.emplace(paths_[node], node);
  Shelf& shelf = by_weights_[weights];
  (finishes_cells(node) ? shelf.finishing : shelf.others).emplace(paths_[node], node);
  weights_[node] = weights;
  if (shape.empty() || gang_ < 2 || isolated_.contains(node)) return;
  by_shape_[shape].emplace(paths_[node], node);
  shapes_[node] = shape;
}

void Schedule::remove(std::size_t node) {
  const auto weights = weights_.find(node);
  if (weights == weights_.end()) return;
  by_path_.erase({paths_[node], node});
  const auto shelf = by_weights_.find(weights->second);
  (finishes_cells(node) ? shelf->second.finishing : shelf->second.others).erase({paths_[node], node});
  if (shelf->second.finishing.empty() && shelf->second.others.empty()) by_weights_.erase(shelf);
  weights_.erase(weights);
  const auto shape = shapes_.find(node);
  if (shape == shapes_.end()) return;
  const auto like = by_shape_.find(shape->second);
  like->second.erase({paths_[node], node});
  if (like->second.empty()) by_shape_.erase(like);
  shapes_.erase(shape);
}

std::optional<std::size_t> Schedule::next(const std::set<std::string>& warm) const {
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
  if (nearest != nullptr) return nearest->second;
  if (farthest != nullptr && farthest->first * kWarmBonus >= by_path_.rbegin()->first) return farthest->second;
  return by_path_.rbegin()->second;
}

std::optional<std::size_t> Schedule::take(const std::set<std::string>& warm) {
  const auto taken = next(warm);
  if (taken) remove(*taken);
  return taken;
}

std::vector<std::size_t> Schedule::take_gang(const std::set<std::string>& warm, std::size_t free) {
  const auto first = next(warm);
  if (!first) return {};
  std::vector<std::size_t> gang = {*first};
  if (const auto shape = shapes_.find(*first); shape != shapes_.end()) {
    const Order& like = by_shape_.at(shape->second);
    const std::size_t share = std::min(gang_, (like.size() + free - 1) / free);
    for (auto other = like.rbegin(); other != like.rend() && gang.size() < share; ++other) {
      if (other->second != *first) gang.push_back(other->second);
    }
  }
  for (const std::size_t each : gang) remove(each);
  return gang;
}

}  // namespace holdfast
