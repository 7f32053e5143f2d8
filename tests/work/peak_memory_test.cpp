#include "work/peak_memory.h"

#include <gtest/gtest.h>

#include <cstring>
#include <memory>

namespace holdfast {
namespace {

constexpr std::int64_t kBytes = 64 << 20;

// Touched, so that it is resident.
std::unique_ptr<char[]> held() {
  std::unique_ptr<char[]> block(new char[kBytes]);
  std::memset(block.get(), 1, kBytes);
  return block;
}

TEST(PeakMemory, KeepsWhatWasHeldAndForgetsItWhenReset) {
  reset_peak_memory();
  const std::int64_t before = peak_memory().main;
  held();  // and let go
  EXPECT_GE(peak_memory().main, before + kBytes * 9 / 10);
  reset_peak_memory();
  EXPECT_LT(peak_memory().main, before + kBytes / 2);
  EXPECT_EQ(peak_memory().device, 0);
}

}  // namespace
}  // namespace holdfast
