#include "base/file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>

#include "base/message_of.h"
#include "base/scratch_folder.h"

namespace holdfast {
namespace {

using ::testing::HasSubstr;

TEST(WriteFile, ReplacesTheWholeContent) {
  const ScratchFolder folder;
  write_file(folder / "a", "long content");
  write_file(folder / "a", std::string("x\0y", 3));
  EXPECT_EQ(read_file(folder / "a"), std::string("x\0y", 3));
  write_file_pieces(folder / "a", {"one ", "", "two"});
  EXPECT_EQ(read_file(folder / "a"), "one two");
  write_file_unsynced(folder / "a", "later");
  EXPECT_EQ(read_file(folder / "a"), "later");
  EXPECT_EQ(std::distance(fs::directory_iterator(folder.path()), fs::directory_iterator()), 1) << "a temporary file was left";
}

TEST(WriteFile, AReaderOfTheOldContentKeepsIt) {
  const ScratchFolder folder;
  write_file(folder / "a", "old");
  const MappedFile before(folder / "a");
  write_file(folder / "a", "new");
  EXPECT_EQ(std::string(reinterpret_cast<const char*>(before.data()), before.size()), "old");
}

TEST(WriteFile, AFailureKeepsTheTargetAndLeavesNothing) {
  const ScratchFolder folder;
  fs::create_directories(folder / "target/inside");
  EXPECT_THAT(message_of([&] { write_file(folder / "target", "x"); }), HasSubstr("cannot write"));
  EXPECT_TRUE(fs::is_directory(folder / "target/inside"));
  EXPECT_EQ(std::distance(fs::directory_iterator(folder.path()), fs::directory_iterator()), 1) << "a temporary file was left";
  EXPECT_THAT(message_of([&] { write_file(folder / "none/a", "x"); }),
              HasSubstr("none/a: No such file or directory; its folder is not there"));
}

TEST(AppendFile, AddsToTheEnd) {
  const ScratchFolder folder;
  append_file(folder / "a", "one\n");
  append_file(folder / "a", "two\n");
  EXPECT_EQ(read_file(folder / "a"), "one\ntwo\n");
}

TEST(AppendFile, SaysThatTheDiskIsFull) {
  EXPECT_EQ(message_of([] { append_file("/dev/full", "x"); }),
            "cannot write /dev/full: No space left on device; make room, and the same command goes on");
}

TEST(AppendFile, AFailureLeavesNoHalfLine) {
  const ScratchFolder folder;
  append_file(folder / "a", "one\n");
  rlimit usual{};
  ::getrlimit(RLIMIT_FSIZE, &usual);
  const auto handler = ::signal(SIGXFSZ, SIG_IGN);
  const rlimit small{6, usual.rlim_max};
  ::setrlimit(RLIMIT_FSIZE, &small);
  const std::string message = message_of([&] { append_file(folder / "a", "two\n"); });
  ::setrlimit(RLIMIT_FSIZE, &usual);
  ::signal(SIGXFSZ, handler);
  EXPECT_THAT(message, HasSubstr("File too large"));
  EXPECT_EQ(read_file(folder / "a"), "one\n");
}

TEST(SyncPath, SaysWhatDoesNotReachTheDisk) {
  const ScratchFolder folder;
  write_file(folder / "a", "x");
  sync_path(folder / "a");
  sync_path(folder.path());
  EXPECT_THAT(message_of([&] { sync_path(folder / "none"); }), HasSubstr("none: No such file or directory"));
  EXPECT_THAT(message_of([] { sync_path("/dev/null"); }), HasSubstr("cannot sync /dev/null: "));
  sync_file_system(folder.path());
  EXPECT_THAT(message_of([&] { sync_file_system(folder / "none"); }), HasSubstr("none: No such file or directory"));
}

TEST(ReadFile, SaysWhatIsWrong) {
  const ScratchFolder folder;
  EXPECT_THAT(message_of([&] { read_file(folder / "none"); }), HasSubstr("none: No such file or directory"));
  EXPECT_THAT(message_of([&] { read_file(folder.path()); }), HasSubstr("it is a folder, expected a file"));
  write_file(folder / "empty", "");
  EXPECT_EQ(read_file(folder / "empty"), "");
}

TEST(MappedFileTest, MapsBytesAndRefusesFolders) {
  const ScratchFolder folder;
  write_file(folder / "a", "abc");
  const MappedFile file(folder / "a");
  EXPECT_EQ(std::string(reinterpret_cast<const char*>(file.data()), file.size()), "abc");
  write_file(folder / "empty", "");
  EXPECT_EQ(MappedFile(folder / "empty").size(), 0U);
  EXPECT_THAT(message_of([&] { MappedFile mapped(folder.path()); }), HasSubstr("not a regular file"));
  EXPECT_THAT(message_of([&] { MappedFile mapped(folder / "none"); }), HasSubstr("none: No such file or directory"));
}

}  // namespace
}  // namespace holdfast
