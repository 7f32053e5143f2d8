// The API over HTTP with nothing behind it, asked by many at a time: what a sanitizer can see of it.
#include "service/api_server.h"

#include <gtest/gtest.h>
#include <httplib.h>

#include <atomic>
#include <optional>
#include <thread>

#include "service/job_plan.h"
#include "service/service_fakes.h"

namespace holdfast {
namespace {

Json parsed(const httplib::Result& result, int status = 200) {
  if (!result || result->status != status) {
    ADD_FAILURE() << "status " << (result ? result->status : -1) << ", expected " << status << ": "
                  << (result ? result->body : "");
    return Json::object();
  }
  return Json::parse(result->body);
}

std::string upload_body(const std::string& content) {
  return "--b\r\nContent-Disposition: form-data; name=\"purpose\"\r\n\r\nfine-tune\r\n--b\r\n"
         "Content-Disposition: form-data; name=\"file\"; filename=\"rows.jsonl\"\r\n\r\n" +
         content + "\r\n--b--\r\n";
}

class ApiServerTest : public testing::Test {
 protected:
  httplib::Client client() const {
    httplib::Client made("127.0.0.1", server_.port());
    made.set_read_timeout(30);
    return made;
  }

  const ScratchFolder folder_;
  IdleService service_{folder_.path()};
  ApiServer server_{*service_.desk, {}};
};

TEST_F(ApiServerTest, ServesManyAtATime) {
  std::vector<std::thread> customers;
  for (int number = 0; number < 8; ++number) {
    customers.emplace_back([&, number] {
      auto http = client();
      const Json file = parsed(http.Post("/v1/files", upload_body(kOneRow), "multipart/form-data; boundary=b"));
      const Json order = {{"model", "base"}, {"training_file", file.value("id", "")}, {"suffix", std::to_string(number)}};
      const Json job = parsed(http.Post("/v1/fine_tuning/jobs", order.dump(), "application/json"));
      const std::string place = "/v1/fine_tuning/jobs/" + job.value("id", "");
      const Json chat = {{"model", "base"}, {"messages", {{{"role", "user"}, {"content", "hello"}}}}};
      EXPECT_EQ(parsed(http.Post("/v1/chat/completions", chat.dump(), "application/json"))["choices"][0]["message"]["content"],
                "said");
      std::thread follower([&] {
        const auto events = client().Get(place + "/events?stream=true");
        ASSERT_TRUE(events);
        EXPECT_NE(events->body.find("cancelled"), std::string::npos);
        EXPECT_TRUE(events->body.ends_with("data: [DONE]\n\n"));
      });
      EXPECT_EQ(parsed(http.Post(place + "/pause")).value("status", ""), "paused");
      EXPECT_EQ(parsed(http.Post(place + "/resume")).value("status", ""), "validating_files");
      EXPECT_EQ(parsed(http.Post(place + "/cancel")).value("status", ""), "cancelled");
      follower.join();
      parsed(http.Post(place + "/cancel"), 409);
      EXPECT_TRUE(parsed(http.Delete("/v1/files/" + file.value("id", ""))).value("deleted", false));
    });
  }
  for (auto& customer : customers) customer.join();
  EXPECT_EQ(parsed(client().Get("/v1/fine_tuning/jobs"))["data"].size(), 8U);
}

TEST(ApiServer, EndsWhileStreamsAreOpen) {
  const ScratchFolder folder;
  IdleService service(folder.path());
  std::optional<ApiServer> server;
  server.emplace(*service.desk, ApiServerOptions());
  const std::string job =
      service.desk->jobs.create(service.customer(), plan_job(*service.desk, service.customer(), {"base", service.file().id}))
          .id;
  std::atomic<bool> begun = false;
  std::thread follower([&, port = server->port()] {
    httplib::Client("127.0.0.1", port)
        .Get("/v1/fine_tuning/jobs/" + job + "/events?stream=true", [&](const char*, std::size_t) {
          begun = true;
          return true;
        });
  });
  while (!begun) std::this_thread::yield();
  server.reset();  // the job goes on, and nobody says so any more
  follower.join();
  EXPECT_EQ(service.desk->jobs.find("local", job).status, JobStatus::kValidating);
}

TEST_F(ApiServerTest, RefusesInTheProtocolsForm) {
  auto http = client();
  for (const auto& [body, status] : {std::pair<std::string, int>{"{", 400},
                                     {std::string(5 << 20, ' '), 413},
                                     {R"({"model": "gpt", "training_file": "x"})", 404}}) {
    const auto error = parsed(http.Post("/v1/fine_tuning/jobs", body, "application/json"), status);
    EXPECT_TRUE(error["error"]["message"].is_string()) << error;
  }
  parsed(http.Get("/v1/nothing"), 404);
  parsed(http.Put("/v1/models", "", "text/plain"), 405);
  parsed(http.Post("/v1/fine_tuning/jobs", {{"Content-Encoding", "gzip"}}, "{}", "application/json"), 415);
}

TEST(ApiServer, IsOfThisMachineAloneWithoutCustomers) {
  const Customers nobody({}, {});
  check_open("127.0.0.1", nobody);
  EXPECT_THROW(check_open("0.0.0.0", nobody), Error);
  ServiceSpec service;
  service.customers = {{"a", "A", {}}};
  check_open("0.0.0.0", Customers(service, {{"A", "a-long-secret"}}));
}

}  // namespace
}  // namespace holdfast
