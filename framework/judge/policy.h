// The usage policy that model judges hold replies against.
#pragma once

#include <holdfast/params.h>

#include <string>

namespace holdfast {

/// The text of the file that the setting "policy" names, or our own general policy.
std::string read_policy(Params& params);

}  // namespace holdfast
