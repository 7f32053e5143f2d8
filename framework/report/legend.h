// How to read the tables.
#pragma once

#include <string>
#include <vector>

namespace holdfast {

/// What the marks mean and how the ranking is made, a line each.
std::vector<std::string> legend();

}  // namespace holdfast
