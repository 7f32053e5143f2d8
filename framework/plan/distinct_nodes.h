// The nodes of a plan while it is made: equal stages are one.
#pragma once

#include <unordered_map>

#include "plan/plan.h"

namespace holdfast {

/// A node while it is put together.
struct Draft {
  StageKind kind;
  StageDocument identity{}, task{};
  std::vector<StageInput> inputs{};
  std::string plugin{}, fault{};

  void set(std::string_view name, const SharedText& value) {
    identity.set(name, value);
    task.set(name, value);
  }
};

class DistinctNodes {
 public:
  /// Adds to `nodes`, which must outlive it.
  explicit DistinctNodes(std::vector<PlanNode>& nodes) : nodes_(nodes) {}

  /// The node of that kind, identity and inputs: the first such draft is the one that stays. Values of all drafts are of one
  /// pool.
  std::size_t add(Draft draft, std::uint32_t model);

 private:
  std::shared_ptr<const StageDocument> shared(StageDocument document);

  std::vector<PlanNode>& nodes_;
  std::unordered_multimap<std::size_t, std::shared_ptr<const StageDocument>> documents_;  // by hash
  std::unordered_multimap<std::size_t, std::size_t> ids_;                                 // by a hash of identity and inputs
};

}  // namespace holdfast
