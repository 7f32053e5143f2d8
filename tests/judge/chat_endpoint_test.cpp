#include "judge/chat_endpoint.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <holdfast/error.h>

#include "judge/chat_server.h"

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

TEST(Completion, IsReadFromTheFirstChoice) {
  const Completion read = read_completion({200, says("hello").body});
  ASSERT_TRUE(read.answer);
  EXPECT_EQ(read.answer->text, "hello");
  EXPECT_EQ(read.answer->usage, Json::parse(R"({"prompt_tokens": 7, "completion_tokens": 3})"));
}

TEST(Completion, OfAModelThatDeclinesIsWhatItSays) {
  const auto text = [](const std::string& message) {
    return read_completion({200, R"({"choices": [{"message": )" + message + "}]}"}).answer.value().text;
  };
  EXPECT_EQ(text(R"({"content": null, "refusal": "no"})"), "no");
  EXPECT_EQ(text(R"({"content": null})"), "");
  EXPECT_EQ(text(R"({"content": ""})"), "");
}

TEST(Completion, ThatIsMalformedMayComeRightTheNextTime) {
  for (const auto* body : {"", "nonsense", "[]", "{}", R"({"choices": []})", R"({"choices": [{}]})", R"({"choices": {"0": 1}})",
                           R"({"choices": [{"message": {}}]})", R"({"choices": [{"message": {"content": 5}}]})",
                           R"({"choices": [{"message": {"content": [1]}}]})", R"({"choices": [{"message": null}]})"}) {
    const Completion read = read_completion({200, body});
    EXPECT_FALSE(read.answer) << body;
    EXPECT_TRUE(read.again) << body;
    EXPECT_THAT(read.trouble, HasSubstr("no chat completion")) << body;
  }
}

TEST(Completion, OfAnErrorNamesStatusAndTheServersWords) {
  const std::string body = R"({"error": {"message": "the model\nis unknown", "type": "x"}})";
  for (const long status : {400L, 401L, 403L, 404L, 413L, 422L, 301L}) EXPECT_FALSE(read_completion({status, body}).again);
  for (const long status : {408L, 425L, 429L, 500L, 502L, 503L, 529L}) EXPECT_TRUE(read_completion({status, body}).again);
  EXPECT_EQ(read_completion({404, body}).trouble, "HTTP status 404, \"the model\\nis unknown\"");
  EXPECT_EQ(read_completion({404, R"({"error": "short"})"}).trouble, "HTTP status 404, \"short\"");
  EXPECT_EQ(read_completion({404, "<html>"}).trouble, "HTTP status 404, \"<html>\"");
  EXPECT_LT(read_completion({500, std::string(5000, 'x')}).trouble.size(), 400u);
}

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

std::map<std::size_t, std::string> ask(const ChatEndpoint& endpoint, int count) {
  std::map<std::size_t, std::string> answers;
  complete_chats(endpoint, bodies(count), [&](std::size_t i, const Answer& answer) { answers[i] = answer.text; });
  return answers;
}

ChatEndpoint quick(const ChatServer& server) {
  ChatEndpoint endpoint;
  endpoint.url = server.url();
  endpoint.backoff = 0.001;
  endpoint.timeout = 10;
  return endpoint;
}

std::string error_of(const ChatEndpoint& endpoint, int count) {
  try {
    ask(endpoint, count);
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

TEST(ChatEndpoint, AsksManyAtATimeAndNoMoreThanAllowed) {
  const ChatServer server([](const Request& request) {
    Scripted scripted = says(answer_to(request.body));
    scripted.delay = 0.05;
    return scripted;
  });
  ChatEndpoint endpoint = quick(server);
  endpoint.concurrency = 3;
  const auto answers = ask(endpoint, 12);
  ASSERT_EQ(answers.size(), 12u);
  for (const auto& [i, text] : answers) EXPECT_EQ(text, "answer " + std::to_string(i));
  EXPECT_GT(server.most_in_flight(), 1);
  EXPECT_LE(server.most_in_flight(), 3);
}

TEST(ChatEndpoint, RetriesWhatMayPass) {
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
  ChatEndpoint endpoint = quick(server);
  endpoint.timeout = 0.3;
  endpoint.concurrency = 8;
  const auto started = std::chrono::steady_clock::now();
  const auto answers = ask(endpoint, static_cast<int>(troubles.size()));
  EXPECT_GE(std::chrono::steady_clock::now() - started, std::chrono::seconds(1)) << "Retry-After was not kept";
  ASSERT_EQ(answers.size(), troubles.size());
  for (const auto& [i, text] : answers) EXPECT_EQ(text, "answer " + std::to_string(i));
  EXPECT_THAT(server.requests(), SizeIs(2 * troubles.size()));
}

TEST(ChatEndpoint, GivesUpWhenTheRetriesAreUsedUp) {
  const ChatServer server([](const Request&) { return Scripted{503, R"({"error": {"message": "overloaded"}})"}; });
  ChatEndpoint endpoint = quick(server);
  endpoint.retries = 2;
  EXPECT_THAT(error_of(endpoint, 1),
              AllOf(HasSubstr(server.url()), HasSubstr("no answer in 3 attempts"), HasSubstr("HTTP status 503, \"overloaded\""),
                    HasSubstr("run the same command again")));
  EXPECT_THAT(server.requests(), SizeIs(3));
}

TEST(ChatEndpoint, DoesNotRetryARefusal) {
  const ChatServer server([](const Request&) { return Scripted{400, R"({"error": {"message": "no such model"}})"}; });
  ChatEndpoint endpoint = quick(server);
  endpoint.concurrency = 1;
  EXPECT_THAT(error_of(endpoint, 5), AllOf(HasSubstr("refuses: HTTP status 400, \"no such model\"")));
  EXPECT_THAT(server.requests(), SizeIs(1));
}

TEST(ChatEndpoint, KeepsWhatCameBeforeAFailure) {
  const ChatServer server([](const Request& request) {
    return request.body.at("n") == 3 ? Scripted{400, "{}"} : says(answer_to(request.body));
  });
  ChatEndpoint endpoint = quick(server);
  endpoint.concurrency = 1;
  std::vector<std::size_t> taken;
  EXPECT_THROW(complete_chats(endpoint, bodies(6), [&](std::size_t i, const Answer&) { taken.push_back(i); }), Error);
  EXPECT_EQ(taken, (std::vector<std::size_t>{0, 1, 2}));
}

TEST(ChatEndpoint, AFailureEndsTheWaitsOfOthers) {
  const ChatServer server([](const Request& request) {
    if (request.body.at("n") == 0) return Scripted{429, "{}", "Retry-After: 60"};
    return Scripted{401, "{}", "", 0.2};
  });
  ChatEndpoint endpoint = quick(server);
  endpoint.concurrency = 2;
  const auto started = std::chrono::steady_clock::now();
  EXPECT_THAT(error_of(endpoint, 2), HasSubstr("HTTP status 401"));
  EXPECT_LT(std::chrono::steady_clock::now() - started, std::chrono::seconds(20));
}

TEST(ChatEndpoint, SendsTheKeyAndTellsItToNobody) {
  const std::string key = "sk-a-secret";
  const ChatServer server([&](const Request&) {
    return Scripted{401, R"({"error": {"message": "wrong key: )" + key + "\"}}"};
  });
  ChatEndpoint endpoint = quick(server);
  endpoint.key = key;
  EXPECT_THAT(error_of(endpoint, 1), AllOf(HasSubstr("wrong key: [key]"), Not(HasSubstr(key))));
  ASSERT_THAT(server.requests(), SizeIs(1));
  EXPECT_EQ(server.requests().front().authorization, "Bearer " + key);
  EXPECT_EQ(server.requests().front().path, "/v1/chat/completions");
}

TEST(ChatEndpoint, LetsNoAnswerCarryTheKey) {
  const ChatServer server([](const Request& request) { return says(request.authorization + " and the key"); });
  ChatEndpoint endpoint = quick(server);
  endpoint.key = "sk-a-secret";
  EXPECT_EQ(ask(endpoint, 1).at(0), "Bearer [key] and the key");
  endpoint.key = "key";
  EXPECT_EQ(ask(endpoint, 1).at(0), "Bearer [key] and the [key]");
}

TEST(ChatEndpoint, AsksThisMachineWithoutAProxy) {
  const ChatServer server([](const Request& request) { return says(answer_to(request.body)); });
  ::setenv("http_proxy", "http://127.0.0.1:9", 1);
  EXPECT_EQ(ask(quick(server), 1).at(0), "answer 0");
  ::unsetenv("http_proxy");
}

TEST(ChatEndpoint, FollowsNoRedirection) {
  const ChatServer other([](const Request&) { return says("stolen"); });
  const ChatServer server([&](const Request&) { return Scripted{307, "", "Location: " + other.url() + "/chat/completions"}; });
  EXPECT_THAT(error_of(quick(server), 1), HasSubstr("HTTP status 307"));
  EXPECT_THAT(other.requests(), SizeIs(0));
}

TEST(ChatEndpoint, SaysThatNobodyListens) {
  ChatEndpoint endpoint;
  {
    const ChatServer server([](const Request&) { return says(""); });
    endpoint = quick(server);
  }
  endpoint.retries = 1;
  EXPECT_THAT(error_of(endpoint, 1), AllOf(HasSubstr("no answer in 2 attempts"), HasSubstr("connect")));
}

}  // namespace
}  // namespace holdfast
