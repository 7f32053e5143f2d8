// Names of what the API makes.
#pragma once

#include <string>

namespace holdfast {

/// `prefix` and 24 letters and digits that nobody can guess (of the system's random source): "file-8sKz...", "ftjob-...".
/// Throws Error where there is no such source.
std::string new_id(const std::string& prefix);

/// Whether a text may be such a name: nothing else becomes part of a path.
bool is_id(const std::string& text, const std::string& prefix);

}  // namespace holdfast
