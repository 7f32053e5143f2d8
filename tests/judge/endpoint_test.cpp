#include "judge/endpoint.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <holdfast/error.h>

#include "fakes/chat_server.h"

namespace holdfast {
namespace {

using fakes::ChatServer;
using fakes::Request;
using fakes::says;
using fakes::Scripted;
using ::testing::AllOf;
using ::testing::Each;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::SizeIs;

TEST(RetryDelay, IsARandomPartOfAGrowingTimeAndNeverLessThanAskedFor) {
  EXPECT_EQ(retry_delay(1, 0, 0.5, 0), 0.5);
  EXPECT_EQ(retry_delay(1, 3, 0.5, 0), 4);
  EXPECT_EQ(retry_delay(1, 3, 0, 0), 0);
  EXPECT_EQ(retry_delay(1, 90, 0.5, 0), 30);
  EXPECT_EQ(retry_delay(1, 0, 0.5, 20), 20);
}

// Bodies 0, 1, ...; what came back, by body.
std::vector<Json> bodies(int count) {
  std::vector<Json> all;
  for (int i = 0; i < count; ++i) all.push_back({{"n", i}});
  return all;
}

std::string answer_to(const Json& body) { return "answer " + body.at("n").dump(); }

std::map<std::size_t, std::string> ask(const Endpoint& endpoint, int count) {
  std::map<std::size_t, std::string> answers;
  ask_service(endpoint, kChatCompletions, bodies(count),
              [&](std::size_t i, const Answer& answer) { answers[i] = answer.text; });
  return answers;
}

Endpoint quick(const ChatServer& server) {
  Endpoint endpoint;
  endpoint.url = server.url();
  endpoint.backoff = 0.001;
  endpoint.timeout = 10;
  return endpoint;
}

std::string error_of(const Endpoint& endpoint, int count) {
  try {
    ask(endpoint, count);
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

TEST(Endpoint, AsksManyAtATimeAndNoMoreThanAllowed) {
  const ChatServer server([](const Request& request) {
    Scripted scripted = says(answer_to(request.body));
    scripted.delay = 0.05;
    return scripted;
  });
  Endpoint endpoint = quick(server);
  endpoint.concurrency = 3;
  const auto answers = ask(endpoint, 12);
  ASSERT_EQ(answers.size(), 12u);
  for (const auto& [i, text] : answers) EXPECT_EQ(text, "answer " + std::to_string(i));
  EXPECT_GT(server.most_in_flight(), 1);
  EXPECT_LE(server.most_in_flight(), 3);
}

TEST(Endpoint, RetriesWhatMayPass) {
  const std::vector<Scripted> troubles = {{429, "{}", "Retry-After: 1"},
                                          {500, "{}"},
                                          {503, "busy"},
                                          {200, "not JSON"},
                                          {200, says("cut short").body, "", 0, false, 5},
                                          {200, "", "", 0, true},
                                          {200, says("late").body, "", 0.6}};
  const ChatServer server([&](const Request& request) {
    return request.number == 0 ? troubles.at(request.body.at("n").get<std::size_t>()) : says(answer_to(request.body));
  });
  Endpoint endpoint = quick(server);
  endpoint.timeout = 0.3;
  endpoint.concurrency = 8;
  const auto started = std::chrono::steady_clock::now();
  const auto answers = ask(endpoint, static_cast<int>(troubles.size()));
  EXPECT_GE(std::chrono::steady_clock::now() - started, std::chrono::seconds(1)) << "Retry-After was not kept";
  ASSERT_EQ(answers.size(), troubles.size());
  for (const auto& [i, text] : answers) EXPECT_EQ(text, "answer " + std::to_string(i));
  EXPECT_THAT(server.requests(), SizeIs(2 * troubles.size()));
}

TEST(Endpoint, GivesUpWhenTheRetriesAreUsedUp) {
  const ChatServer server([](const Request&) { return Scripted{503, R"({"error": {"message": "overloaded"}})"}; });
  Endpoint endpoint = quick(server);
  endpoint.retries = 2;
  EXPECT_THAT(error_of(endpoint, 1),
              AllOf(HasSubstr(server.url()), HasSubstr("no answer in 3 attempts"), HasSubstr("HTTP status 503, \"overloaded\""),
                    HasSubstr("run the same command again")));
  EXPECT_THAT(server.requests(), SizeIs(3));
}

TEST(Endpoint, DoesNotRetryARefusal) {
  const ChatServer server([](const Request&) { return Scripted{400, R"({"error": {"message": "no such model"}})"}; });
  Endpoint endpoint = quick(server);
  endpoint.concurrency = 1;
  EXPECT_THAT(error_of(endpoint, 5), AllOf(HasSubstr("refuses: HTTP status 400, \"no such model\"")));
  EXPECT_THAT(server.requests(), SizeIs(1));
}

TEST(Endpoint, TakesADeclinedQuestionForAnAnswer) {
  const ChatServer server([](const Request& request) {
    const bool declined = request.body.at("n") == 1;
    return declined ? Scripted{400, R"({"error": {"message": "no", "code": "content_filter"}})"}
                    : says(answer_to(request.body));
  });
  std::map<std::size_t, Answer> answers;
  ask_service(quick(server), kChatCompletions, bodies(3), [&](std::size_t i, const Answer& answer) { answers[i] = answer; });
  ASSERT_EQ(answers.size(), 3u);
  EXPECT_EQ(answers.at(1).declined, "HTTP status 400, \"no\"");
  EXPECT_EQ(answers.at(2).text, "answer 2");
  EXPECT_THAT(server.requests(), SizeIs(3));
}

TEST(Endpoint, KeepsWhatCameBeforeAFailure) {
  const ChatServer server([](const Request& request) {
    return request.body.at("n") == 3 ? Scripted{400, "{}"} : says(answer_to(request.body));
  });
  Endpoint endpoint = quick(server);
  endpoint.concurrency = 1;
  std::vector<std::size_t> taken;
  EXPECT_THROW(ask_service(endpoint, kChatCompletions, bodies(6), [&](std::size_t i, const Answer&) { taken.push_back(i); }),
               Error);
  EXPECT_EQ(taken, (std::vector<std::size_t>{0, 1, 2}));
}

TEST(Endpoint, AFailureEndsTheWaitsOfOthers) {
  const ChatServer server([](const Request& request) {
    if (request.body.at("n") == 0) return Scripted{429, "{}", "Retry-After: 60"};
    return Scripted{401, "{}", "", 0.2};
  });
  Endpoint endpoint = quick(server);
  endpoint.concurrency = 2;
  const auto started = std::chrono::steady_clock::now();
  EXPECT_THAT(error_of(endpoint, 2), HasSubstr("HTTP status 401"));
  EXPECT_LT(std::chrono::steady_clock::now() - started, std::chrono::seconds(20));
}

TEST(Endpoint, SendsTheKeyAndTellsItToNobody) {
  const std::string key = "sk-a-secret";
  const ChatServer server([&](const Request&) {
    return Scripted{401, R"({"error": {"message": "wrong key: )" + key + "\"}}"};
  });
  Endpoint endpoint = quick(server);
  endpoint.key = key;
  EXPECT_THAT(error_of(endpoint, 1), AllOf(HasSubstr("wrong key: [key]"), Not(HasSubstr(key))));
  ASSERT_THAT(server.requests(), SizeIs(1));
  EXPECT_EQ(server.requests().front().authorization, "Bearer " + key);
  EXPECT_EQ(server.requests().front().path, "/v1/chat/completions");
}

TEST(Endpoint, LetsNoAnswerCarryTheKey) {
  const ChatServer server([](const Request& request) { return says(request.authorization + " and the key"); });
  Endpoint endpoint = quick(server);
  endpoint.key = "sk-a-secret";
  EXPECT_EQ(ask(endpoint, 1).at(0), "Bearer [key] and the key");
  endpoint.key = "key";
  EXPECT_EQ(ask(endpoint, 1).at(0), "Bearer [key] and the [key]");
}

TEST(Endpoint, AsksThisMachineWithoutAProxy) {
  const ChatServer server([](const Request& request) { return says(answer_to(request.body)); });
  ::setenv("http_proxy", "http://127.0.0.1:9", 1);
  EXPECT_EQ(ask(quick(server), 1).at(0), "answer 0");
  ::unsetenv("http_proxy");
}

TEST(Endpoint, FollowsNoRedirection) {
  const ChatServer other([](const Request&) { return says("stolen"); });
  const ChatServer server([&](const Request&) { return Scripted{307, "", "Location: " + other.url() + "/chat/completions"}; });
  EXPECT_THAT(error_of(quick(server), 1), HasSubstr("HTTP status 307"));
  EXPECT_THAT(other.requests(), SizeIs(0));
}

TEST(Endpoint, SaysThatNobodyListens) {
  Endpoint endpoint;
  {
    const ChatServer server([](const Request&) { return says(""); });
    endpoint = quick(server);
  }
  endpoint.retries = 1;
  EXPECT_THAT(error_of(endpoint, 1), AllOf(HasSubstr("no answer in 2 attempts"), HasSubstr("connect")));
}

}  // namespace
}  // namespace holdfast
