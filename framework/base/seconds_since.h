// How long something has taken so far.
#pragma once

#include <chrono>

namespace holdfast {

inline double seconds_since(std::chrono::steady_clock::time_point then) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - then).count();
}

}  // namespace holdfast
