// "did you mean": the nearest known name.
#pragma once

#include <string>
#include <vector>

namespace holdfast {

/// The option nearest to `name` by edit distance when it is near enough to be a slip, else an empty string.
std::string nearest(const std::string& name, const std::vector<std::string>& options);

/// " Did you mean \"x\"?" for a near option, else " Known: a, b, c."
std::string suggestion(const std::string& name, const std::vector<std::string>& options);

}  // namespace holdfast
