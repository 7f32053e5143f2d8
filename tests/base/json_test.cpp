#include "base/json.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <holdfast/error.h>

#include "base/file.h"
#include "base/scratch_folder.h"

namespace holdfast {
namespace {

using ::testing::HasSubstr;

TEST(CanonicalJson, SortsKeysAndLeavesNoSpace) {
  EXPECT_EQ(canonical(Json::parse(R"({ "b": [1, 2.50, true], "a": {"z": null, "y": "\u00fc"} })")),
            "{\"a\":{\"y\":\"\u00fc\",\"z\":null},\"b\":[1,2.5,true]}");
}

TEST(CanonicalJson, NumbersAreShortestThatReadBack) {
  EXPECT_EQ(canonical(0.1), "0.1");
  EXPECT_EQ(canonical(1e-5), "1e-05");
  EXPECT_EQ(canonical(2.0), "2.0");
  EXPECT_EQ(canonical(2), "2");
  EXPECT_EQ(canonical(UINT64_MAX), "18446744073709551615");
  EXPECT_EQ(Json::parse(canonical(1.0 / 3.0)).get<double>(), 1.0 / 3.0);
}

TEST(CanonicalJson, BrokenUtf8IsReplacedNotThrown) { EXPECT_EQ(canonical("a\xff"), "\"a\xef\xbf\xbd\""); }

TEST(InQuotes, EscapesAndCuts) {
  EXPECT_EQ(in_quotes("a\n\"b\""), R"("a\n\"b\"")");
  EXPECT_EQ(in_quotes(std::string(500, 'x')), '"' + std::string(100, 'x') + "...\"");
}

TEST(ParseJson, NamesItsSource) {
  try {
    parse_json("{\"a\": }", "x.json");
    FAIL() << "bad JSON was accepted";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("x.json is not valid JSON: parse error at line 1, column 7"));
  }
}

TEST(ReadJsonl, GivesRowsWithLineNumbers) {
  const ScratchFolder folder;
  write_file(folder / "a.jsonl", "1\n\n  \r\n{\"b\":2}\r\n3");
  std::vector<std::pair<Json, std::int64_t>> rows;
  read_jsonl(folder / "a.jsonl", [&](const Json& row, std::int64_t line) { rows.emplace_back(row, line); });
  const std::vector<std::pair<Json, std::int64_t>> expected = {{1, 1}, {{{"b", 2}}, 4}, {3, 5}};
  EXPECT_EQ(rows, expected);
}

TEST(ReadJsonl, NamesFileAndLine) {
  const ScratchFolder folder;
  write_file(folder / "a.jsonl", "1\n\n{\n");
  try {
    read_jsonl(folder / "a.jsonl", [](const Json&, std::int64_t) {});
    FAIL() << "bad JSON was accepted";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("a.jsonl:3 is not valid JSON"));
  }
}

}  // namespace
}  // namespace holdfast
