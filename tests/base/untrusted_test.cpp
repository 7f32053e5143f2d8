#include "base/untrusted.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <holdfast/error.h>

namespace holdfast {
namespace {

using ::testing::HasSubstr;

std::string nested(std::size_t depth) { return std::string(depth, '[') + std::string(depth, ']'); }

TEST(Untrusted, DepthIsThatOfListsAndObjectsOutsideTexts) {
  EXPECT_FALSE(nests_too_deep(nested(kDeepestJson)));
  EXPECT_TRUE(nests_too_deep(nested(kDeepestJson + 1)));
  EXPECT_FALSE(nests_too_deep("\"\\\"" + nested(kDeepestJson + 1) + "\""));
  EXPECT_FALSE(nests_too_deep("[\"" + std::string(2000, '{') + "\"]"));
  std::string flat;
  for (int i = 0; i < 2 * kDeepestJson; ++i) flat += "[{}],";
  EXPECT_FALSE(nests_too_deep(flat));
}

// To print or copy it would end the process.
TEST(Untrusted, JsonThatNestsTooDeepIsRefusedByName) {
  try {
    parse_json(nested(200'000), "x.json");
    FAIL() << "it was read";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("x.json: its lists and objects lie in each other more than 500 deep"));
  }
  EXPECT_TRUE(json_or_discarded(nested(200'000)).is_discarded());
}

TEST(Untrusted, WhatIsNoJsonIsDiscarded) {
  EXPECT_TRUE(json_or_discarded("{").is_discarded());
  EXPECT_EQ(json_or_discarded("{\"a\":[1]}"), Json({{"a", {1}}}));
  EXPECT_TRUE(json_or_discarded(std::string("{}\0{", 4)).is_discarded()) << "what stands behind a zero byte counts";
}

TEST(Untrusted, AZeroByteEndsNoJson) {
  EXPECT_TRUE(has_zero_byte(std::string_view("a\0", 2)));
  EXPECT_FALSE(has_zero_byte("a\\u0000"));
  try {
    parse_json(std::string("{}\0{", 4), "a.json");
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_EQ(error.what(), std::string("a.json is not valid JSON: a zero byte stands in it"));
  }
}

TEST(Untrusted, AnIntegerIsTakenAsItIsAndNothingElseBecomesOne) {
  EXPECT_EQ(whole_number(Json::parse("-9223372036854775808")), INT64_MIN);
  EXPECT_EQ(whole_number(Json::parse("9223372036854775807")), INT64_MAX);
  for (const char* other : {"9223372036854775808", "1e300", "1.0", "-1e19", "true", "\"1\"", "null", "[1]"}) {
    EXPECT_THROW(whole_number(Json::parse(other)), Json::type_error) << other;
  }
}

TEST(Untrusted, ASizeIsNoneBelowZero) {
  EXPECT_EQ(whole_size(3), 3U);
  EXPECT_THROW(whole_size(-3), Json::type_error);
  EXPECT_THROW(whole_size(3.5), Json::type_error);
}

TEST(Untrusted, ValuesAreShownShortAndWithoutBrokenUtf8) {
  EXPECT_EQ(in_short({{"a", 1}}), "{\"a\":1}");
  EXPECT_EQ(in_short("a\xff"), "\"a\xef\xbf\xbd\"");
  EXPECT_LT(in_short(std::vector<int>(1000, 1)).size(), 110U);
}

TEST(Untrusted, APathThatNoFileCanHaveIsNotThere) {
  EXPECT_TRUE(is_there("/proc/self"));
  EXPECT_FALSE(is_there(std::string(300, 'x')));
  EXPECT_FALSE(is_there(std::string(5000, 'x')));
}

}  // namespace
}  // namespace holdfast
