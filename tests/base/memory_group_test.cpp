// Where a group lies, by texts as kernels write them; and what a group does to its processes, where this system grants one.
#include "base/memory_group.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <string>
#include <vector>

namespace holdfast {
namespace {

constexpr char kVersion1[] =
    "35 24 0:30 / /sys/fs/cgroup rw,nosuid - tmpfs tmpfs rw,mode=755\n"
    "36 35 0:31 / /sys/fs/cgroup/cpu rw,relatime shared:9 - cgroup cgroup rw,cpu\n"
    "37 35 0:32 / /sys/fs/cgroup/memory rw,relatime shared:10 - cgroup cgroup rw,memory\n"
    "38 35 0:33 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n";
constexpr char kVersion2[] = "30 24 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n";

void expect_place(const std::string& memberships, const std::string& mounts, const std::string& folder, bool unified) {
  const auto place = memory_group_place(memberships, mounts);
  ASSERT_TRUE(place.has_value()) << memberships;
  EXPECT_EQ(place->folder.string(), folder);
  EXPECT_EQ(place->unified, unified);
}

TEST(MemoryGroup, LiesInMemorysOwnHierarchyBeforeThatOfVersion2) {
  expect_place("4:memory:/jobs/7\n1:cpu:/\n0::/init.scope\n", kVersion1, "/sys/fs/cgroup/memory/jobs/7", false);
  expect_place("4:cpu,memory:/\n0::/\n", "37 35 0:32 / /mnt/both rw - cgroup cgroup rw,cpu,memory\n", "/mnt/both", false);
  expect_place("0::/user.slice/user-1000.slice\n", kVersion2, "/sys/fs/cgroup/user.slice/user-1000.slice", true);
  expect_place("0::/a:b\n", kVersion2, "/sys/fs/cgroup/a:b", true);
}

TEST(MemoryGroup, OfAContainerLiesBelowThePartThatItSees) {
  const std::string part = "37 35 0:32 /docker/4f2 /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n";
  expect_place("4:memory:/docker/4f2\n", part, "/sys/fs/cgroup/memory", false);
  expect_place("4:memory:/docker/4f2/inner\n", part, "/sys/fs/cgroup/memory/inner", false);
  EXPECT_FALSE(memory_group_place("4:memory:/elsewhere\n", part));
  EXPECT_FALSE(memory_group_place("0::/../outside\n", kVersion2));
}

TEST(MemoryGroup, LiesNowhereWithoutAHierarchy) {
  EXPECT_FALSE(memory_group_place("", ""));
  EXPECT_FALSE(memory_group_place("0::/\n", "35 24 0:30 / /sys/fs/cgroup rw - tmpfs tmpfs rw\n"));
  EXPECT_FALSE(memory_group_place("4:memory:/\n", kVersion2));
  EXPECT_FALSE(memory_group_place("nonsense\n", "nonsense - cgroup2\n"));
}

class LiveMemoryGroup : public testing::Test {
 protected:
  void SetUp() override {
    if (const auto why = why_no_memory_group(); !why.empty()) GTEST_SKIP() << why;
  }

  // A process that begins when it is in the group, and then takes so much memory and waits.
  pid_t start(MemoryGroup& group, std::size_t mib) {
    int go[2];
    EXPECT_EQ(::pipe(go), 0);
    const pid_t child = ::fork();
    if (child == 0) {
      char word = 0;
      if (::read(go[0], &word, 1) != 1) ::_exit(2);
      const std::vector<char> taken(mib << 20, 'x');
      ::sleep(taken.back() == 'x' ? 60 : 0);
      ::_exit(0);
    }
    group.take(child);
    EXPECT_EQ(::write(go[1], "x", 1), 1);
    ::close(go[0]);
    ::close(go[1]);
    return child;
  }

  // The signal that a process ended by.
  static int signal_of(pid_t process) {
    int status = 0;
    EXPECT_EQ(::waitpid(process, &status, 0), process);
    return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
  }
};

TEST_F(LiveMemoryGroup, OneProcessTooMuchIsEnded) {
  MemoryGroup group(0.25);
  EXPECT_FALSE(group.ended_one());
  EXPECT_EQ(signal_of(start(group, 512)), SIGKILL);
  EXPECT_TRUE(group.ended_one());
}

TEST_F(LiveMemoryGroup, EndsItsProcessesWithItself) {
  pid_t left = 0;
  {
    MemoryGroup group(0.25);
    left = start(group, 1);
    EXPECT_EQ(::kill(left, 0), 0);
    EXPECT_FALSE(group.ended_one());
  }
  EXPECT_EQ(signal_of(left), SIGKILL);
}

}  // namespace
}  // namespace holdfast
