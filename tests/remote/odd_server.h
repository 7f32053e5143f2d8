// A server that answers every request with one text, as no store does.
#pragma once

#include <holdfast/error.h>
#include <httplib.h>

#include <string>
#include <thread>

#include "remote/client.h"
#include "remote/wire.h"

namespace holdfast {

class OddServer {
 public:
  OddServer() {
    const auto say = [this](const httplib::Request&, httplib::Response& response) {
      response.set_header(kStageHeader, "collect");
      response.set_content(answer, kJson);
    };
    server_.Get(".*", say);
    server_.Put(".*", say);
    server_.Post(".*", say);
    port_ = server_.bind_to_any_port("127.0.0.1");
    listener_ = std::thread([this] { server_.listen_after_bind(); });
    while (!server_.is_running()) std::this_thread::yield();
  }
  ~OddServer() {
    server_.stop();
    listener_.join();
  }
  OddServer(const OddServer&) = delete;
  OddServer& operator=(const OddServer&) = delete;

  StoreAddress address() const { return {"http", "127.0.0.1", port_}; }

  std::string answer;  // between two requests of whoever asks

 private:
  httplib::Server server_;
  int port_ = 0;
  std::thread listener_;
};

/// The sentence of the Error that the action ends in.
template <typename Action>
std::string refusal(const Action& action) {
  try {
    action();
    return "nothing";
  } catch (const Error& error) {
    return error.what();
  }
}

}  // namespace holdfast
