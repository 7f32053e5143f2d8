#include "base/foreign.h"

#include <gmock/gmock.h>

namespace holdfast {
namespace {

using testing::HasSubstr;

TEST(ForeignContent, IsNamedByItsFirstBytes) {
  EXPECT_THAT(foreign_content("version https://git-lfs.github.com/spec/v1\noid"), HasSubstr("Git LFS pointer"));
  EXPECT_THAT(foreign_content("\n <!doctype HTML>\n<html>"), HasSubstr("web page"));
  EXPECT_THAT(foreign_content("<?xml version='1.0'?><Error>AccessDenied"), HasSubstr("XML"));
  EXPECT_THAT(foreign_content("PK\x03\x04"), HasSubstr("zip archive"));
  EXPECT_THAT(foreign_content("\x80\x02}"), HasSubstr("pickled"));
  EXPECT_THAT(foreign_content("GGUF\x03"), HasSubstr("GGUF"));
  EXPECT_THAT(foreign_content("\x1f\x8b\x08"), HasSubstr("gzip"));
  for (const char* ordinary : {"", " ", "{\"a\": 1}", "[1]", "P", "version 2", "<im_start>"})
    EXPECT_EQ(foreign_content(ordinary), "");
}

}  // namespace
}  // namespace holdfast
