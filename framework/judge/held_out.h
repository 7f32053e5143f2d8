// Probes that a defense's author does not see, and what is measured on them.
#pragma once

#include <string>

namespace holdfast {

/// What the ids of such probes end in, and of every metric over them: "leak.organism@held-out" is never taken together with
/// "leak.organism".
inline constexpr const char* kHeldOut = "@held-out";

inline bool is_held_out(const std::string& id) { return id.ends_with(kHeldOut); }

}  // namespace holdfast
