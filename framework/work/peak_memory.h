// The most memory that this process held at once, for the account of a stage.
#pragma once

#include <cstdint>

namespace holdfast {

/// From here on.
void reset_peak_memory();

/// Bytes since then: resident in main memory, warm weights of other stages with it (0 where the kernel does not say), and, once
/// an accelerator is loaded, what its allocator handed out on the device that used most.
struct PeakMemory {
  std::int64_t main = 0, device = 0;
};
PeakMemory peak_memory();

}  // namespace holdfast
