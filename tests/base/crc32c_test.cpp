#include "base/crc32c.h"

#include <gtest/gtest.h>

#include <string>

namespace holdfast {
namespace {

// RFC 3720, B.4, and the check value of the catalogue of checksums.
TEST(Crc32c, HasThePublishedValues) {
  EXPECT_EQ(crc32c(""), 0u);
  EXPECT_EQ(crc32c("123456789"), 0xE3069283u);
  EXPECT_EQ(crc32c(std::string(32, '\0')), 0x8A9136AAu);
  EXPECT_EQ(crc32c(std::string(32, '\xFF')), 0x62A8AB43u);
}

}  // namespace
}  // namespace holdfast
