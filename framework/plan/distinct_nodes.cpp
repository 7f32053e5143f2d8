#include "plan/distinct_nodes.h"

#include <algorithm>

#include "base/mix_hash.h"

namespace holdfast {
namespace {

bool same(const std::vector<StageInput>& a, const std::vector<StageInput>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](const StageInput& x, const StageInput& y) { return x.role == y.role && x.node == y.node; });
}

}  // namespace

std::size_t DistinctNodes::add(Draft draft, std::uint32_t model) {
  auto identity = shared(std::move(draft.identity));
  auto hash = static_cast<std::size_t>(draft.kind);
  mix_hash(hash, identity.get());
  for (const auto& input : draft.inputs) mix_hash(hash, input.node);
  const auto [begin, end] = ids_.equal_range(hash);
  for (auto known = begin; known != end; ++known) {
    const PlanNode& node = nodes_[known->second];
    if (node.kind == draft.kind && node.identity == identity && same(node.inputs, draft.inputs)) return known->second;
  }
  const std::size_t id = nodes_.size();
  ids_.emplace(hash, id);
  PlanNode& node = nodes_.emplace_back();
  node.kind = draft.kind;
  node.model = model;
  node.identity = std::move(identity);
  node.task = shared(std::move(draft.task));
  node.inputs.assign(draft.inputs.begin(), draft.inputs.end());  // of their number
  node.plugin = std::move(draft.plugin);
  node.fault = std::move(draft.fault);
  return id;
}

std::shared_ptr<const StageDocument> DistinctNodes::shared(StageDocument document) {
  const std::size_t hash = document.hash();
  const auto [begin, end] = documents_.equal_range(hash);
  for (auto known = begin; known != end; ++known) {
    if (*known->second == document) return known->second;
  }
  return documents_.emplace(hash, std::make_shared<const StageDocument>(std::move(document)))->second;
}

}  // namespace holdfast
