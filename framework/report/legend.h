// How to read the tables.
#pragma once

#include <string>
#include <vector>

#include "results/run_facts.h"

namespace holdfast {

/// What the marks mean and how places are made, a line each. `weights`: a board is of weights in the attacker's hands.
std::vector<std::string> legend(bool weights, const BoardRules& rules);

}  // namespace holdfast
