#include "plan/part_of_plan.h"

#include <algorithm>

namespace holdfast {
namespace {

constexpr std::size_t kLeftOut = SIZE_MAX;

// Which nodes those cells need. Inputs come before the nodes that use them.
std::vector<bool> needed_nodes(const Plan& plan, const std::vector<Cell>& cells) {
  std::vector<bool> needed(plan.nodes.size());
  for (const auto& cell : cells) {
    for (const auto* stages : {&cell.stages, &cell.moderators}) {
      for (const auto& stage : *stages) needed[stage.node] = true;
    }
  }
  for (std::size_t id = plan.nodes.size(); id-- > 0;) {
    if (!needed[id]) continue;
    for (const auto& input : plan.nodes[id].inputs) needed[input.node] = true;
  }
  return needed;
}

void count_cells(Plan& plan) {
  for (auto& node : plan.nodes) node.cells = 0;
  for (const auto& cell : plan.cells) {
    for (const auto& stage : cell.stages) ++plan.nodes[stage.node].cells;
  }
}

}  // namespace

std::string to_string(const CellName& name) {
  return name.model + ", " + name.attack + ", " + name.defense + ", seed " + std::to_string(name.seed);
}

Plan part_of_plan(const Plan& plan, const std::function<bool(const CellName&)>& wanted) {
  Plan part;
  part.models = plan.models;
  part.attacks = plan.attacks;
  part.defenses = plan.defenses;
  part.stage_names = plan.stage_names;
  part.tries = plan.tries;
  part.definitions = plan.definitions;
  for (const auto& cell : plan.cells) {
    if (wanted({plan.models[cell.model], plan.attacks[cell.attack], plan.defenses[cell.defense], cell.seed})) {
      part.cells.push_back(cell);
    }
  }
  const auto needed = needed_nodes(plan, part.cells);
  std::vector<std::size_t> place(plan.nodes.size(), kLeftOut);
  for (std::size_t id = 0; id < plan.nodes.size(); ++id) {
    if (!needed[id]) continue;
    place[id] = part.nodes.size();
    part.nodes.push_back(plan.nodes[id]);
    PlanNode& node = part.nodes.back();
    for (auto& input : node.inputs) input.node = place[input.node];
  }
  for (auto& node : part.nodes) {
    std::vector<std::size_t> children;
    for (const std::size_t child : node.children) {
      if (place[child] != kLeftOut) children.push_back(place[child]);
    }
    node.children = std::move(children);
  }
  for (auto& cell : part.cells) {
    for (auto* stages : {&cell.stages, &cell.moderators}) {
      for (auto& stage : *stages) stage.node = static_cast<std::uint32_t>(place[stage.node]);
    }
  }
  count_cells(part);
  return part;
}

}  // namespace holdfast
