#include "base/digest.h"

#include <gtest/gtest.h>
#include <holdfast/error.h>

#include "base/file.h"
#include "base/scratch_folder.h"

namespace holdfast {
namespace {

// Known answers of FIPS 180-2.
const std::string kEmpty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
const std::string kAbc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
const std::string kMillion = "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0";

TEST(Sha256Test, KnownAnswers) {
  EXPECT_EQ(sha256(""), kEmpty);
  EXPECT_EQ(sha256("abc"), kAbc);
  EXPECT_EQ(sha256(std::string(1'000'000, 'a')), kMillion);
}

TEST(Sha256Test, PiecesGiveTheSameDigest) {
  Sha256 digest;
  digest.update("a", 1);
  digest.update("bc", 2);
  EXPECT_EQ(digest.hex(), kAbc);
}

TEST(Sha256Test, Files) {
  const ScratchFolder folder;
  write_file(folder / "abc", "abc");
  write_file(folder / "empty", "");
  EXPECT_EQ(sha256_file(folder / "abc"), kAbc);
  EXPECT_EQ(sha256_file(folder / "empty"), kEmpty);
  EXPECT_THROW(sha256_file(folder / "none"), Error);
}

}  // namespace
}  // namespace holdfast
