// What a matrix costs as a graph of distinct stages, and what its cells would cost one by one.
#pragma once

#include <string>
#include <vector>

#include "plan/plan.h"

namespace holdfast {

/// In seconds of stages, whatever number of workers shares them.
struct MatrixCost {
  double distinct = 0;  // each distinct stage once
  double alone = 0;     // each cell with all the stages that it needs, as if it were the only one

  /// The first beside the second; 1 where nothing costs anything.
  double share() const { return alone > 0 ? distinct / alone : 1; }
};

/// `seconds`: of each node of the plan. `keys`: of each node, empty where it is not known yet; nodes that turned out to have
/// one key are one stage, in a cell too. A cell needs its stages, its moderators, and whatever those are made from. Takes time
/// in proportion to the stages of all cells.
MatrixCost matrix_cost(const Plan& plan, const std::vector<double>& seconds, const std::vector<std::string>& keys);

}  // namespace holdfast
