#include "judge/recording.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <holdfast/error.h>

#include <thread>

#include "base/scratch_folder.h"

namespace holdfast {
namespace {

using ::testing::HasSubstr;

class RecordingTest : public ::testing::Test {
 protected:
  Answer answer(const std::string& text) { return {text, {{"completion_tokens", 3}}}; }
  std::vector<Json> lines() const {
    std::vector<Json> all;
    read_jsonl(path_, [&](const Json& line, std::int64_t) { all.push_back(line); });
    return all;
  }
  void append(const std::string& text) { write_file(path_, read_file(path_) + text); }

  ScratchFolder folder_;
  fs::path path_ = folder_ / "answers.jsonl";
};

TEST_F(RecordingTest, IsEmptyWithoutAFile) {
  EXPECT_EQ(Recording(path_).find("a"), std::nullopt);
  EXPECT_FALSE(fs::exists(path_));
}

TEST_F(RecordingTest, GivesBackWhatWasAdded) {
  Recording recording(path_);
  recording.add("a", "judge", answer("one\ntwo"));
  EXPECT_EQ(recording.find("a"), answer("one\ntwo"));
  EXPECT_EQ(Recording(path_).find("a"), answer("one\ntwo"));
  EXPECT_EQ(Recording(path_).find("b"), std::nullopt);
  EXPECT_EQ(lines(),
            (std::vector<Json>{
                {{"answer", "one\ntwo"}, {"model", "judge"}, {"request", "a"}, {"usage", {{"completion_tokens", 3}}}}}));
}

TEST_F(RecordingTest, KeepsThatAQuestionWasDeclined) {
  const Answer declined{"", Json::object(), "finish_reason \"content_filter\""};
  Recording(path_).add("a", "judge", declined);
  EXPECT_EQ(Recording(path_).find("a"), declined);
}

TEST_F(RecordingTest, SeesWhatOthersAdd) {
  Recording here(path_), there(path_);
  EXPECT_EQ(here.find("a"), std::nullopt);
  there.add("a", "judge", answer("theirs"));
  EXPECT_EQ(here.find("a"), answer("theirs"));
}

TEST_F(RecordingTest, TheFirstAnswerCountsForAll) {
  Recording here(path_), there(path_);
  here.add("a", "judge", answer("first"));
  EXPECT_EQ(there.add("a", "judge", answer("second")), answer("first"));
  EXPECT_EQ(lines().size(), 1u);
}

TEST_F(RecordingTest, PassesOverALineThatACrashTore) {
  Recording(path_).add("a", "judge", answer("kept"));
  append(R"({"answer":"half a li)");
  Recording recording(path_);
  EXPECT_EQ(recording.find("a"), answer("kept"));
  recording.add("b", "judge", answer("after"));
  EXPECT_EQ(recording.find("b"), answer("after"));
  Recording again(path_);
  EXPECT_EQ(again.find("a"), answer("kept"));
  EXPECT_EQ(again.find("b"), answer("after"));
}

TEST_F(RecordingTest, LeavesAFileOfAnotherKindAlone) {
  for (const auto* content : {"[scenario]\nname = 1\n", "{\"id\": 1}\n", "[]\n"}) {
    write_file(path_, content);
    Recording recording(path_);
    try {
      recording.add("a", "judge", answer("x"));
      FAIL() << content;
    } catch (const Error& error) {
      EXPECT_THAT(error.what(), HasSubstr("answers.jsonl:1 is no recorded answer"));
    }
    EXPECT_EQ(read_file(path_), content);
  }
}

TEST_F(RecordingTest, SaysWhyItCannotBeWritten) {
  Recording recording(folder_ / "no" / "answers.jsonl");
  try {
    recording.add("a", "judge", answer("x"));
    FAIL();
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("cannot write the recording"));
    EXPECT_THAT(error.what(), HasSubstr("No such file"));
  }
}

TEST_F(RecordingTest, ManyWritersKeepItWhole) {
  constexpr int kWriters = 4, kAnswers = 50;
  {
    std::vector<std::jthread> writers;
    for (int w = 0; w < kWriters; ++w) {
      writers.emplace_back([&, w] {
        Recording recording(path_);
        for (int n = 0; n < kAnswers; ++n) {
          recording.add(std::to_string(n), "judge", answer(std::string(2000, static_cast<char>('a' + w))));
        }
      });
    }
  }
  EXPECT_EQ(lines().size(), static_cast<std::size_t>(kAnswers));
}

}  // namespace
}  // namespace holdfast
