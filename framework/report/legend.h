// How to read the tables.
#pragma once

#include <string>
#include <vector>

namespace holdfast {

/// What the marks mean and how the ranking is made, a line each. `weights`: a board is of weights in the attacker's hands.
std::vector<std::string> legend(bool weights);

}  // namespace holdfast
