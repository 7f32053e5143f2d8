#include "store/stage_kind.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <holdfast/error.h>

#include <sstream>

#include "base/file.h"

namespace holdfast {
namespace {

TEST(StageKinds, AreFoundByTheirWords) {
  for (const auto& info : stage_kinds()) {
    EXPECT_EQ(stage_kind(info.word), info.kind);
    EXPECT_STREQ(to_string(info.kind), info.word);
    EXPECT_GT(info.revision, 0);
    EXPECT_GT(info.seconds, 0);
  }
  EXPECT_THROW(stage_kind("alignment"), Error);
}

TEST(StageKinds, StandInTheDesignPageInTheirOrder) {
  std::istringstream text(read_file(fs::path(HOLDFAST_SOURCE_DIR) / "docs" / "design.md"));
  std::vector<std::string> wanted, found;
  for (const auto& info : stage_kinds()) wanted.emplace_back(info.word);
  bool table = false;
  for (std::string line; std::getline(text, line);) {
    if (table && !line.starts_with("|")) break;
    if (table && !line.starts_with("| ---")) found.push_back(line.substr(2, line.find(' ', 2) - 2));
    table = table || line.starts_with("| stage |");
  }
  EXPECT_EQ(found, wanted);
}

}  // namespace
}  // namespace holdfast
