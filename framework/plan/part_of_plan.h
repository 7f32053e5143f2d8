// Some cells of a plan, and the stages that they need.
#pragma once

#include <functional>
#include <string>

#include "plan/plan.h"

namespace holdfast {

/// A cell by its names.
struct CellName {
  std::string model, attack, defense;
  std::int64_t seed = 0;

  auto operator<=>(const CellName&) const = default;
};

/// "organism, harmful-10, vaccine, seed 2"
std::string to_string(const CellName& name);

/// The plan of the cells of which `wanted` is true. Keys stay what they are, and names too.
Plan part_of_plan(const Plan& plan, const std::function<bool(const CellName&)>& wanted);

}  // namespace holdfast
