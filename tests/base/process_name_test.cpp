#include "base/process_name.h"

#include <gtest/gtest.h>
#include <unistd.h>

namespace holdfast {
namespace {

std::string machine() { return process_name().substr(0, process_name().find('-')); }

TEST(ProcessName, IsThatOfALivingProcess) {
  EXPECT_EQ(process_name(), process_name());
  EXPECT_FALSE(process_is_gone(process_name()));
  EXPECT_EQ(process_name().find_first_not_of("0123456789abcdef-"), std::string::npos);
}

TEST(ProcessName, OneThatEndedIsGone) {
  EXPECT_TRUE(process_is_gone(machine() + "-4194305-1"));  // above the largest process id
  // Another process has its number now.
  EXPECT_TRUE(process_is_gone(machine() + "-" + std::to_string(::getpid()) + "-1"));
}

TEST(ProcessName, NothingIsKnownOfOtherMachinesNorOfOtherNames) {
  for (const char* name : {"000000000000-4194305-1", "", "123", "tmp-1", "a-b-c"}) EXPECT_FALSE(process_is_gone(name)) << name;
  EXPECT_FALSE(process_is_gone(machine() + "-x-1"));
  EXPECT_FALSE(process_is_gone(machine()));
}

}  // namespace
}  // namespace holdfast
