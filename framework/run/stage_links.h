// Who reads whose files, in a plan.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "plan/plan.h"

namespace holdfast {

/// For each node the nodes of whose files it reads (Plan::read_by), and those that read its own.
class StageLinks {
 public:
  explicit StageLinks(const Plan& plan);
  std::span<const std::uint32_t> reads(std::size_t node) const { return part(reads_, node); }
  std::span<const std::uint32_t> readers(std::size_t node) const { return part(readers_, node); }

 private:
  // All lists, one after the other.
  struct Lists {
    std::vector<std::uint32_t> nodes;
    std::vector<std::size_t> begins;  // of each node's list, and the end
  };
  static std::span<const std::uint32_t> part(const Lists& lists, std::size_t node) {
    return {lists.nodes.data() + lists.begins[node], lists.begins[node + 1] - lists.begins[node]};
  }

  Lists reads_, readers_;
};

}  // namespace holdfast
