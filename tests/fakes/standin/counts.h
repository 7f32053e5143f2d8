// What the stand-in accelerator counted; a test finds both functions in the library by name.
#pragma once

#include <cstdint>

/// Of all threads and device numbers. A copy of no bytes is none.
struct StandinCounts {
  std::uint64_t to_device = 0, to_device_bytes = 0;  // copies from the host
  std::uint64_t to_host = 0, to_host_bytes = 0;      // copies to the host
  std::uint64_t reads = 0;    // values that an operator hands to the host: item(), equal(), and sizes that depend on values
  std::uint64_t between = 0;  // copies from one device number to another
};

extern "C" {
using StandinCountsSoFar = void(StandinCounts*);
void standin_counts(StandinCounts* counts);
}
