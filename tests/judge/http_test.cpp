#include "judge/http.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "fakes/chat_server.h"

namespace holdfast {
namespace {

using fakes::ChatServer;
using fakes::Request;
using fakes::Scripted;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

TEST(Http, SendsWhatItIsTold) {
  const ChatServer server([](const Request& request) { return Scripted{200, request.method + " " + request.path}; });
  HttpClient http;
  HttpRequest get{.method = "GET", .url = server.url() + "/jobs?limit=2", .bearer = "sk-secret"};
  EXPECT_EQ(http.send(get).body, "GET /v1/jobs?limit=2");
  HttpRequest post{.url = server.url() + "/jobs", .body = R"({"a":1})"};
  EXPECT_EQ(http.send(post).body, "POST /v1/jobs");
  HttpRequest removal{.method = "DELETE", .url = server.url() + "/files/1"};
  EXPECT_EQ(http.send(removal).body, "DELETE /v1/files/1");
  EXPECT_EQ(http.send(post).body, "POST /v1/jobs") << "one client sends any after any other";
  const auto requests = server.requests();
  EXPECT_EQ(requests[0].authorization, "Bearer sk-secret");
  EXPECT_EQ(requests[0].raw, "");
  EXPECT_EQ(requests[1].authorization, "");
  EXPECT_EQ(requests[1].body, Json({{"a", 1}}));
  EXPECT_EQ(requests[2].raw, "");
  EXPECT_EQ(requests[3].raw, R"({"a":1})");
}

TEST(Http, SendsForms) {
  const ChatServer server([](const Request&) { return Scripted{200, "{}"}; });
  HttpClient http;
  const std::string content = std::string("a\0b", 3) + "\r\n--not-a-boundary\r\n";
  http.send({.url = server.url() + "/files", .form = {{"purpose", "fine-tune"}, {"file", content, "rows.jsonl"}}});
  const std::string raw = server.requests().front().raw;
  EXPECT_THAT(raw, AllOf(HasSubstr("name=\"purpose\"\r\n\r\nfine-tune\r\n"),
                         HasSubstr("name=\"file\"; filename=\"rows.jsonl\""), HasSubstr("\r\n\r\n" + content + "\r\n--")));
}

TEST(Http, FollowsNoRedirectionWhateverItSends) {
  const ChatServer other([](const Request&) { return Scripted{200, "stolen"}; });
  const ChatServer server([&](const Request&) { return Scripted{302, "", "Location: " + other.url()}; });
  HttpClient http;
  for (const char* method : {"GET", "POST", "DELETE"}) {
    EXPECT_EQ(http.send({.method = method, .url = server.url(), .bearer = "sk-secret"}).status, 302);
  }
  http.send({.url = server.url(), .form = {{"file", "rows", "rows.jsonl"}}, .bearer = "sk-secret"});
  EXPECT_TRUE(other.requests().empty());
}

}  // namespace
}  // namespace holdfast
