// What stands before a stage of a plan, and whose files it reads.
#include <algorithm>

#include "plan/plan.h"

namespace holdfast {

bool is_weights(std::string_view role) { return role == "weights" || role == "aligned" || role == "base"; }

const StageInput* PlanNode::input(std::string_view role) const {
  const auto found = std::find_if(inputs.begin(), inputs.end(), [&](const StageInput& input) { return input.role == role; });
  return found == inputs.end() ? nullptr : &*found;
}

std::vector<std::size_t> Plan::weights_chain(std::size_t node) const {
  std::vector<std::size_t> chain = {node};
  while (const StageInput* parent = nodes[chain.back()].input("weights")) chain.push_back(parent->node);
  std::reverse(chain.begin(), chain.end());
  return chain;
}

std::vector<std::size_t> Plan::read_by(std::size_t node) const {
  std::vector<std::size_t> read;
  for (const auto& input : nodes[node].inputs) {
    read.push_back(input.node);
    if (!is_weights(input.role)) continue;
    for (const StageInput* parent = nodes[input.node].input("weights"); parent != nullptr;) {
      read.push_back(parent->node);
      parent = nodes[parent->node].input("weights");
    }
  }
  std::sort(read.begin(), read.end());
  read.erase(std::unique(read.begin(), read.end()), read.end());
  return read;
}

}  // namespace holdfast
