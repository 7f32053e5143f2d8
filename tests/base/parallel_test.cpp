#include <gtest/gtest.h>

#include <stdexcept>
#include <string>
#include <vector>

#include "base/parallel.h"

namespace holdfast {
namespace {

TEST(ForEachNumber, DoesEachOnce) {
  for (const int threads : {0, 1, 3}) {
    std::vector<int> times(1000);
    for_each_number(
        times.size(), [&](std::size_t n) { ++times[n]; }, threads);
    EXPECT_EQ(times, std::vector<int>(1000, 1)) << threads;
  }
  for_each_number(0, [](std::size_t) { FAIL(); });
}

TEST(ForEachNumber, ThrowsWhatTheSmallestNumberThrew) {
  for (int i = 0; i < 20; ++i) {
    try {
      for_each_number(100, [](std::size_t n) {
        if (n % 7 == 3) throw std::runtime_error(std::to_string(n));
      });
      FAIL();
    } catch (const std::runtime_error& error) {
      EXPECT_STREQ(error.what(), "3");
    }
  }
}

}  // namespace
}  // namespace holdfast
