// What made an artifact.
#pragma once

#include <torch/headeronly/version.h>

#include "base/json.h"

namespace holdfast {

inline constexpr const char* kHoldfastVersion = "0.1.0";

inline Json versions() { return {{"holdfast", kHoldfastVersion}, {"torch", TORCH_VERSION}}; }

}  // namespace holdfast
