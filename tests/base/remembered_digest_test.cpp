// Files whose digests are remembered: read once, and never taken for what they were before a change.
#include "base/remembered_digest.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <holdfast/error.h>
#include <sys/stat.h>

#include <chrono>
#include <cstdlib>
#include <fstream>
#include <thread>

#include "base/cache_folder.h"
#include "base/digest.h"
#include "base/json.h"
#include "base/scratch_folder.h"

namespace holdfast {
namespace {

const std::string kBogus(64, '0');

class RememberedDigest : public testing::Test {
 protected:
  void SetUp() override { ::setenv("HOLDFAST_CACHE", (scratch_ / "cache").c_str(), 1); }
  void TearDown() override { ::unsetenv("HOLDFAST_CACHE"); }

  fs::path kept() const { return scratch_ / "cache" / "digests.json"; }
  Json kept_json() const { return Json::parse(read_file(kept())); }
  static void settle() { std::this_thread::sleep_for(std::chrono::milliseconds(3100)); }
  static void set_times(const fs::path& file, const timespec& time) {
    const timespec both[] = {time, time};
    ASSERT_EQ(::utimensat(AT_FDCWD, file.c_str(), both, 0), 0);
  }

  const ScratchFolder scratch_;
  const fs::path file_ = scratch_ / "model.gguf";
};

// The link stands for a process that has not read the file: what it is told was kept by the other.
TEST_F(RememberedDigest, OfALargeFileIsKeptForOtherProcessesUntilTheFileChanges) {
  write_file(file_, std::string(2 << 20, 'a'));
  settle();
  EXPECT_EQ(remembered_sha256(file_), sha256_file(file_));
  Json known = kept_json();
  ASSERT_TRUE(known.contains(file_.string())) << known.dump(1);

  const fs::path link = scratch_ / "link.gguf";
  fs::create_symlink(file_, link);
  known[link.string()] = known[file_.string()];
  known[link.string()][1] = kBogus;
  write_file(kept(), known.dump());
  EXPECT_EQ(remembered_sha256(link), kBogus) << "the file was read again";
  EXPECT_EQ(content_digest(link), kBogus);

  struct stat status {};
  ASSERT_EQ(::stat(file_.c_str(), &status), 0);
  std::fstream(file_, std::ios::in | std::ios::out).seekp(1 << 20) << 'b';  // the same size
  set_times(file_, status.st_mtim);                                         // ... and the same time
  EXPECT_EQ(remembered_sha256(link), sha256_file(file_));
  EXPECT_EQ(remembered_sha256(file_), sha256_file(file_));
}

TEST_F(RememberedDigest, OfASmallFileIsKeptByNoFile) {
  write_file(file_, "abc");
  settle();
  EXPECT_EQ(remembered_sha256(file_), sha256("abc"));
  EXPECT_FALSE(fs::exists(kept()));
  write_file(file_, "abd");
  EXPECT_EQ(remembered_sha256(file_), sha256("abd"));
}

// Within one tick of a file system's clock a file may change and keep its times.
TEST_F(RememberedDigest, OfAFileThatWasJustWrittenIsNotKept) {
  write_file(file_, std::string(2 << 20, 'a'));
  EXPECT_EQ(remembered_sha256(file_), sha256_file(file_));
  EXPECT_FALSE(fs::exists(kept()));
}

TEST_F(RememberedDigest, AMemoryThatIsNoneIsReplaced) {
  write_file(file_, std::string(2 << 20, 'a'));
  fs::create_directories(scratch_ / "cache");
  settle();
  int number = 0;
  for (const std::string before : {"{\"a", "[1]", "{\"LINK\": {\"stamp\": 1}}", "{\"LINK\": [1, 2]}"}) {
    const fs::path link = scratch_ / ("link" + std::to_string(++number));
    fs::create_symlink(file_, link);
    std::string text = before;
    if (const auto at = text.find("LINK"); at != std::string::npos) text.replace(at, 4, link.string());
    write_file(kept(), text);
    EXPECT_EQ(remembered_sha256(link), sha256_file(file_)) << text;
    EXPECT_TRUE(kept_json().at(link.string()).is_array());
  }
}

TEST_F(RememberedDigest, AChosenFolderThatIsNoneIsRefused) {
  write_file(scratch_ / "cache", "a file");
  write_file(file_, std::string(2 << 20, 'a'));
  try {
    remembered_sha256(file_);
    FAIL() << "it was taken";
  } catch (const Error& error) {
    EXPECT_EQ(std::string(error.what()), "HOLDFAST_CACHE names " + (scratch_ / "cache").string() +
                                             ", which is no folder that this program may write: name another one, or set it to "
                                             "nothing to keep nothing");
  }
  ::setenv("HOLDFAST_CACHE", "", 1);
  EXPECT_EQ(cache_folder(), fs::path());
  EXPECT_EQ(remembered_sha256(file_), sha256_file(file_));
}

}  // namespace
}  // namespace holdfast
