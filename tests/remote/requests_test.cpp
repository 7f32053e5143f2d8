// Requests as nobody should send them, and whom the server lets in.
#include <holdfast/error.h>

#include <chrono>
#include <thread>

#include "remote/served_store.h"

namespace holdfast {
namespace {

using Clock = std::chrono::steady_clock;

const std::string kKey(64, 'a');

class Requests : public ServedStore {
 protected:
  Requests() {
    ServeOptions options;
    options.idle = 0.1;
    options.head = 1;
    options.quiet = 1;
    serve(options);
  }
  void expect_refused(const std::string& request, int expected) {
    const std::string answer = raw(request);
    EXPECT_EQ(status(answer), expected) << request.substr(0, 200) << "\n" << answer;
    const std::string sentence = body(answer);
    EXPECT_GT(sentence.size(), 10u) << answer;
    EXPECT_EQ(std::count(sentence.begin(), sentence.end(), '\n'), 1) << sentence;
    EXPECT_EQ(client->put("/cas/" + sha256("still there"), "still there").status, 200) << "after " << request.substr(0, 200);
  }
  static std::string head(const std::string& first, const std::string& more = {}) {
    return first + " HTTP/1.1\r\nHost: x\r\n" + more + "\r\n";
  }
};

TEST_F(Requests, OfBadNamesAreRefused) {
  const std::vector<std::string> names = {"/",
                                          "/cas/",
                                          "/cas/xyz",
                                          "/cas/../../etc/passwd",
                                          "/cas/%2e%2e%2f%2e%2e%2fetc%2fpasswd",
                                          "/ac/" + std::string(63, 'a'),
                                          "/ac/" + std::string(64, 'A'),
                                          "/ac/" + kKey + "/manifest.json",
                                          "/cas/" + kKey + "%00",
                                          "/queue/ready",
                                          "/queue/../queue/ready",
                                          "/collect/" + kKey};
  for (const auto& name : names) {
    expect_refused(head("GET " + name), 404);
    expect_refused(head("PUT " + name, "Content-Length: 0\r\n"), 404);
  }
  expect_refused(head("POST /queue/post", "Content-Length: 2\r\n") + "{}", 404);
  expect_refused(head("POST /queue/forget", "Content-Length: 2\r\n") + "{}", 404);
}

TEST_F(Requests, OfOtherMethodsAndFormsAreRefused) {
  expect_refused(head("DELETE /cas/" + kKey), 405);
  expect_refused(head("PATCH /cas/" + kKey, "Content-Length: 1\r\n") + "x", 405);
  expect_refused(head("PUT /cas/" + kKey), 411);
  expect_refused(head("PUT /cas/" + kKey, "Transfer-Encoding: chunked\r\n") + "1\r\nx\r\n0\r\n\r\n", 411);
  expect_refused(head("PUT /cas/" + kKey, "Content-Length: -1\r\n"), 411);
  expect_refused(head("PUT /cas/" + kKey, "Content-Length: 3\r\nContent-Length: 4\r\n") + "abcd", 411);
  expect_refused(head("PUT /cas/" + kKey, "Content-Length: 3\r\nContent-Encoding: gzip\r\n") + "abc", 415);
  expect_refused(head("PUT /cas/" + kKey, "Content-Length: 3\r\nContent-Type: multipart/form-data; boundary=x\r\n") + "abc",
                 415);
  expect_refused("nonsense\r\n\r\n", 400);
  expect_refused("GET /cas/" + kKey + " HTTP/3\r\n\r\n", 400);
}

TEST_F(Requests, ThatAreTooLargeAreRefusedBeforeTheyAreRead) {
  expect_refused(head("PUT /ac/" + kKey, "Content-Length: 70000000\r\n") + "begins", 413);
  expect_refused(head("POST /queue/ready", "Content-Length: 70000000\r\n") + "{", 413);
  expect_refused(head("GET /cas/" + kKey, "X: " + std::string(100'000, 'x') + "\r\n"), 400);
  std::string many;
  for (int i = 0; i < 10'000; ++i) many += "X-" + std::to_string(i) + ": y\r\n";
  expect_refused(head("GET /cas/" + kKey, many), 400);
  expect_refused(head("GET /" + std::string(20'000, 'x')), 414);
}

TEST_F(Requests, QuestionsThatAreNoneAreRefused) {
  const auto ask = [&](const std::string& verb, const std::string& text) {
    expect_refused(head("POST /queue/" + verb, "Content-Length: " + std::to_string(text.size()) + "\r\n") + text, 400);
  };
  ask("take", "");
  ask("take", "[]");
  ask("take", "{}");
  ask("take", std::string(100'000, '['));
  ask("take", R"({"posting": "../../x", "worker": "w", "lost_after": 1})");
  ask("take", R"({"posting": 7, "worker": "w", "lost_after": 1})");
  ask("sign", R"({"party": "worker", "name": "../x", "beat": {"number": 1, "lost_after": 1, "about": {}}})");
  ask("sign", R"({"party": "worker", "name": "x", "beat": {"number": "one", "lost_after": 1, "about": {}}})");
  ask("beat", R"({"lease": "../../../etc", "beat": {}})");
  ask("finish", R"({"lease": "1.1.1.more.cpu.none.a~1~0~..", "ends": {}})");
  ask("give_back", R"({"lease": "/"})");
  ask("files", R"({"lease": "1.1.1.more.cpu.none./../x~1~0~w"})");
}

TEST_F(Requests, ThatComeTooSlowlyAreGivenUp) {
  const auto begun = Clock::now();
  const std::string answer = raw(head("PUT /cas/" + kKey, "Content-Length: 100\r\n") + "a part");
  EXPECT_EQ(status(answer), 408) << answer;
  EXPECT_NE(body(answer).find("6 of 100 bytes"), std::string::npos) << answer;
  EXPECT_EQ(raw("GET /cas/" + kKey), "") << "a head that never ends";
  EXPECT_EQ(raw(""), "");
  EXPECT_LT(std::chrono::duration<double>(Clock::now() - begun).count(), 10);
  EXPECT_EQ(client->get("/cas/" + kKey).status, 404);
  EXPECT_TRUE(fs::is_empty(store.root() / "tmp"));
}

TEST_F(Requests, ThatEndEarlyLeaveNothing) {
  EXPECT_EQ(status(raw(head("PUT /cas/" + sha256("whole"), "Content-Length: 5\r\n") + "wh", true)), 408);
  EXPECT_EQ(client->get("/cas/" + sha256("whole")).status, 404);
  EXPECT_TRUE(fs::is_empty(store.root() / "tmp"));
}

TEST_F(Requests, ThatExpectToContinueAreToldBeforeTheBody) {
  const std::string expects = "Content-Length: 5\r\nExpect: 100-continue\r\nConnection: close\r\n";
  const std::string answer = raw(head("PUT /cas/" + sha256("whole"), expects) + "whole");
  EXPECT_EQ(answer.substr(0, 25), "HTTP/1.1 100 Continue\r\n\r\n");
  EXPECT_EQ(status(answer.substr(25)), 200);
  expect_refused(head("PUT /nowhere", expects), 404);
}

TEST_F(Requests, SeveralOnOneConnectionAreAnsweredInTurn) {
  const std::string content = "content";
  const std::string puts = head("PUT /cas/" + sha256(content), "Content-Length: 7\r\n") + content;
  const std::string answer = raw(puts + head("GET /cas/" + sha256(content)) + head("HEAD /cas/" + sha256(content)), true);
  EXPECT_EQ(status(answer), 200);
  EXPECT_NE(answer.find("\r\n\r\ncontentHTTP/1.1 200"), std::string::npos) << answer;
  EXPECT_EQ(answer.substr(answer.size() - 4), "\r\n\r\n") << "HEAD has no body";
}

// A request that was refused before its body was read must not have that body read as the next request.
TEST_F(Requests, TheBodyOfARefusedOneIsNoRequest) {
  const std::string inner = head("GET /cas/" + kKey);
  const std::string answer =
      raw(head("PUT /nowhere", "Content-Length: " + std::to_string(inner.size()) + "\r\n") + inner, true);
  EXPECT_EQ(status(answer), 404);
  EXPECT_EQ(answer.find("HTTP/1.1", 8), std::string::npos) << answer;
}

TEST_F(Requests, ManyClientsAtATimeAreServed) {
  std::vector<std::thread> clients;
  std::atomic<int> served = 0;
  for (int i = 0; i < 150; ++i) {
    clients.emplace_back([&] {
      StoreClient own(store_address(server->url()), "", 10);
      for (int n = 0; n < 3; ++n) served += own.get("/cas/" + kKey).status == 404 ? 1 : 0;
    });
  }
  for (auto& each : clients) each.join();
  EXPECT_EQ(served, 450);
}

class Access : public ServedStore {
 protected:
  static ServeOptions with_token() {
    ServeOptions options;
    options.token = "a-secret";
    options.idle = 0.1;
    return options;
  }
};

TEST_F(Access, WithATokenEachRequestMustCarryIt) {
  serve(with_token());
  EXPECT_EQ(client->put("/cas/" + sha256("x"), "x").status, 200);
  EXPECT_EQ(client->get("/cas/" + sha256("x")).body, "x");
  const std::string get = "GET /cas/" + sha256("x") + " HTTP/1.1\r\nConnection: close\r\n";
  for (const std::string header :
       {"", "Authorization: Bearer \r\n", "Authorization: Bearer wrong\r\n", "Authorization: a-secret\r\n",
        "Authorization: Bearer a-secret-and-more\r\n", "Authorization: Basic a-secret\r\n"}) {
    const std::string answer = raw(get + header + "\r\n");
    EXPECT_EQ(status(answer), 401) << header;
    EXPECT_EQ(answer.find("a-secret"), std::string::npos);
  }
  EXPECT_EQ(status(raw(get + "Authorization: Bearer a-secret\r\n\r\n")), 200);
  EXPECT_EQ(status(raw("POST /queue/ready HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}")), 401);
  EXPECT_EQ(status(raw("DELETE / HTTP/1.1\r\n\r\n")), 401) << "whoever is not let in learns nothing";
}

TEST_F(Access, AClientSaysWhatIsWrongWithItsTokenAndNeverTheToken) {
  serve(with_token());
  for (const std::string given : {"", "wrong-one"}) {
    StoreClient other(store_address(server->url()), given, 30);
    const auto begun = Clock::now();
    try {
      other.ask("ready", Json::object());
      ADD_FAILURE();
    } catch (const Error& error) {
      const std::string said = error.what();
      EXPECT_NE(said.find("HOLDFAST_STORE_TOKEN"), std::string::npos) << said;
      EXPECT_NE(said.find(server->url()), std::string::npos) << said;
      EXPECT_EQ(said.find("secret"), std::string::npos) << said;
      EXPECT_EQ(said.find("wrong-one"), std::string::npos) << said;
    }
    EXPECT_LT(std::chrono::duration<double>(Clock::now() - begun).count(), 5) << "asking again would not help";
  }
}

TEST_F(Access, FromOtherMachinesTakesAToken) {
  ServeOptions options;
  options.store = store.root();
  for (const char* host : {"0.0.0.0", "::", "192.0.2.1"}) {
    options.host = host;
    try {
      const StoreServer open(options);
      ADD_FAILURE() << host;
    } catch (const Error& error) {
      EXPECT_NE(std::string(error.what()).find("HOLDFAST_STORE_TOKEN"), std::string::npos) << error.what();
    }
  }
  options.host = "0.0.0.0";
  options.token = "a-secret";
  const StoreServer guarded(options);
  EXPECT_GT(guarded.port(), 0);
}

TEST_F(Access, APortIsServedOnce) {
  serve();
  ServeOptions options;
  options.store = store.root();
  options.port = server->port();
  EXPECT_THROW(StoreServer{options}, Error);
}

}  // namespace
}  // namespace holdfast
