#include "run/crew.h"

#include <gtest/gtest.h>
#include <holdfast/error.h>

#include <thread>

namespace holdfast {
namespace {

// What a launcher was asked for, and what it says.
struct Asked {
  std::vector<std::int64_t> started;
  std::optional<std::int64_t> there = 0;
};

class NotingLauncher final : public Launcher {
 public:
  explicit NotingLauncher(Asked& asked) : asked_(asked) {}
  void start(const WorkerClass& workers) override { asked_.started.push_back(workers.count); }
  std::optional<std::int64_t> started() override { return asked_.there; }
  void end() override {}

 private:
  Asked& asked_;
};

class CrewTest : public testing::Test {
 protected:
  Crew crew(std::int64_t count, CrewPauses pauses = {0, 60}) {
    return {std::make_unique<NotingLauncher>(asked), {{"cpu", count}}, "/logs", pauses};
  }

  Asked asked;
};

using Counts = std::vector<std::int64_t>;

TEST_F(CrewTest, StartsWhatIsMissingOnceThereIsSomethingToDo) {
  Crew made = crew(5);
  made.note(1, 0);
  EXPECT_EQ(asked.started, Counts{});
  asked.there = 2;  // of a former run, and not begun yet
  made.begin();
  EXPECT_EQ(asked.started, Counts{3});
}

TEST_F(CrewTest, ReplacesThoseThatAreGoneAsFarAsThereIsWork) {
  Crew made = crew(5);
  made.begin();
  asked.there = 2;
  made.note(2, 0);
  EXPECT_EQ(asked.started, Counts{5});
  made.note(2, 1);
  EXPECT_EQ(asked.started, (Counts{5, 1}));
  made.note(4, 9);
  EXPECT_EQ(asked.started, (Counts{5, 1, 1}));
}

TEST_F(CrewTest, WhereTheLauncherCannotTellEachIsStartedOnce) {
  asked.there = std::nullopt;
  Crew made = crew(3);
  made.note(1, 0);
  made.begin();
  made.note(0, 9);
  EXPECT_EQ(asked.started, Counts{2});
}

TEST_F(CrewTest, WorkersThatEndAtOnceEndTheRunUnlessSomethingIsDone) {
  Crew made = crew(1);
  made.begin();
  for (int round = 0; round < 9; ++round) {
    made.note(0, 1);
    made.done(static_cast<std::size_t>(round) + 1);
  }
  EXPECT_EQ(asked.started.size(), 10u);
  EXPECT_THROW(
      {
        for (int round = 0; round < 9; ++round) made.note(0, 1);
      },
      Error);
  EXPECT_EQ(asked.started.size(), 13u);
}

TEST_F(CrewTest, SaysOnceThatNoWorkerComes) {
  asked.there = std::nullopt;
  Crew made = crew(1, {0, 0.2});
  const auto warnings = [&](std::size_t there, std::size_t waiting) {
    testing::internal::CaptureStderr();
    made.note(there, waiting);
    const std::string said = testing::internal::GetCapturedStderr();
    return said.find("no worker has shown itself") != std::string::npos && said.find("/logs") != std::string::npos;
  };
  const auto pause = [] { std::this_thread::sleep_for(std::chrono::milliseconds(250)); };
  made.begin();
  EXPECT_FALSE(warnings(0, 1));
  pause();
  EXPECT_FALSE(warnings(0, 0));  // there was nothing to do
  EXPECT_FALSE(warnings(0, 1));
  pause();
  EXPECT_TRUE(warnings(0, 1));
  pause();
  EXPECT_FALSE(warnings(0, 1));
  EXPECT_FALSE(warnings(1, 1));
  pause();
  EXPECT_TRUE(warnings(0, 1));
}

}  // namespace
}  // namespace holdfast
