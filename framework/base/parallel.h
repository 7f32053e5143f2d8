// Work on many things at once, where each is done alone.
#pragma once

#include <cstddef>
#include <functional>

namespace holdfast {

/// Runs body(n) once for every n below `count`, on `threads` threads (0: all cores, at most 16). What each n does may depend on
/// n alone, so that the result does not depend on the number of threads. Of what they throw, the smallest n's comes back.
void for_each_number(std::size_t count, const std::function<void(std::size_t)>& body, int threads = 0);

}  // namespace holdfast
