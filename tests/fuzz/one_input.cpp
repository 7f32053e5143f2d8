// What libFuzzer calls.
#include <cstddef>
#include <cstdint>

#include "fuzz/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  holdfast::fuzz::give(holdfast::fuzz::targets().front(), {reinterpret_cast<const char*>(data), size});
  return 0;
}
