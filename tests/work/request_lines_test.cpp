#include "work/request_lines.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

namespace holdfast {
namespace {

class RequestLinesTest : public testing::Test {
 protected:
  ~RequestLinesTest() override {
    ::close(pipe_[0]);
    end();
  }
  void send(const std::string& text) {
    EXPECT_EQ(::write(pipe_[1], text.data(), text.size()), static_cast<ssize_t>(text.size()));
  }
  void end() {
    if (pipe_[1] >= 0) ::close(pipe_[1]);
    pipe_[1] = -1;
  }

  int opened() {
    EXPECT_EQ(::pipe2(pipe_, O_CLOEXEC), 0);
    return pipe_[0];
  }

  int pipe_[2];
  RequestLines lines_{opened()};
};

TEST_F(RequestLinesTest, ComeOneByOneUntilTheyEnd) {
  send("[1]\n{\"a\":2}\n[3");
  EXPECT_EQ(lines_.next(), Json::array({1}));
  EXPECT_EQ(lines_.next(), (Json{{"a", 2}}));
  send("]\n[4]");
  EXPECT_EQ(lines_.next(), Json::array({3}));
  end();
  EXPECT_FALSE(lines_.next()) << "the last was not whole";
  EXPECT_FALSE(lines_.next());
}

TEST_F(RequestLinesTest, ThatHaveNotArrivedAreNotWaitedFor) {
  EXPECT_FALSE(lines_.arrived());
  send("[1");
  EXPECT_FALSE(lines_.arrived());
  send("]\n[2]\n");
  EXPECT_EQ(lines_.arrived(), Json::array({1}));
  EXPECT_EQ(lines_.arrived(), Json::array({2}));
  EXPECT_FALSE(lines_.arrived());
  end();
  EXPECT_FALSE(lines_.arrived());
}

TEST_F(RequestLinesTest, ThatAreGivenBackComeBeforeLaterOnes) {
  send("[1]\n[2]\n[3]\n");
  for (int i = 0; i < 2; ++i) lines_.put_back(*lines_.arrived());
  for (const int number : {1, 2, 3}) EXPECT_EQ(lines_.next(), Json::array({number}));
}

}  // namespace
}  // namespace holdfast
