// A server on 127.0.0.1 whose every answer is scripted, for tests of whoever asks one: chat completions, or any other service.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <map>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "base/json.h"

namespace holdfast::fakes {

/// What the server does with one request.
struct Scripted {
  int status = 200;
  std::string body = {};
  std::string header = {};        // one more header line, without its end
  double delay = 0;               // seconds before it answers
  bool hangs_up = false;          // closes without a word
  std::size_t bytes_missing = 0;  // sends the body without its end
};

/// A completion with this text.
inline Scripted says(const std::string& text) {
  const Json message = {{"role", "assistant"}, {"content", text}};
  const Json body = {{"choices", {{{"index", 0}, {"message", message}, {"finish_reason", "stop"}}}},
                     {"usage", {{"prompt_tokens", 7}, {"completion_tokens", 3}, {"total_tokens", 10}}}};
  return {200, body.dump()};
}

struct Request {
  std::string method;
  std::string path;
  std::string authorization;
  std::string raw;  // the body
  Json body;        // the same, where it is JSON; else null
  int number = 0;   // how many times the same came before
};

class ChatServer {
 public:
  using Script = std::function<Scripted(const Request&)>;

  explicit ChatServer(Script script) : script_(std::move(script)) {
    listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address);
    auto* plain = reinterpret_cast<sockaddr*>(&address);
    if (::bind(listener_, plain, size) != 0 || ::listen(listener_, 64) != 0 || ::getsockname(listener_, plain, &size) != 0) {
      throw std::runtime_error("cannot listen on the loopback interface");
    }
    port_ = ntohs(address.sin_port);
    acceptor_ = std::jthread([this] { accept_all(); });
  }

  ~ChatServer() {
    ::shutdown(listener_, SHUT_RDWR);
    acceptor_.join();
    ::close(listener_);
  }

  std::string url() const { return "http://127.0.0.1:" + std::to_string(port_) + "/v1"; }
  std::vector<Request> requests() const {
    const std::lock_guard lock(mutex_);
    return requests_;
  }
  int most_in_flight() const {
    const std::lock_guard lock(mutex_);
    return most_in_flight_;
  }

 private:
  void accept_all() {
    std::vector<std::jthread> connections;
    for (int socket = ::accept(listener_, nullptr, nullptr); socket >= 0; socket = ::accept(listener_, nullptr, nullptr)) {
      connections.emplace_back([this, socket] {
        serve(socket);
        ::shutdown(socket, SHUT_WR);
        ::close(socket);
      });
    }
  }

  void serve(int socket) {
    Request request;
    if (!read(socket, request)) return;
    {
      const std::lock_guard lock(mutex_);
      request.number = seen_[request.method + request.path + request.raw]++;
      requests_.push_back(request);
      most_in_flight_ = std::max(most_in_flight_, ++in_flight_);
    }
    const Scripted scripted = script_(request);
    std::this_thread::sleep_for(std::chrono::duration<double>(scripted.delay));
    {
      const std::lock_guard lock(mutex_);  // before the client can send the next one
      --in_flight_;
    }
    if (!scripted.hangs_up) write(socket, scripted);
  }

  static bool read(int socket, Request& request) {
    std::string text;
    std::size_t wanted = std::string::npos;
    while (text.size() < wanted) {
      char piece[4096];
      const ssize_t got = ::recv(socket, piece, sizeof(piece), 0);
      if (got <= 0) return false;
      text.append(piece, static_cast<std::size_t>(got));
      const auto end = text.find("\r\n\r\n");
      if (end != std::string::npos) wanted = end + 4 + std::stoul("0" + header(text, "Content-Length: "));
    }
    const std::size_t space = text.find(' ');
    request.method = text.substr(0, space);
    request.path = text.substr(space + 1, text.find(' ', space + 1) - space - 1);
    request.authorization = header(text, "Authorization: ");
    request.raw = text.substr(text.find("\r\n\r\n") + 4);
    if (Json::accept(request.raw)) request.body = Json::parse(request.raw);
    return true;
  }

  static std::string header(const std::string& text, const std::string& name) {
    const auto at = text.find("\r\n" + name);
    if (at == std::string::npos || at > text.find("\r\n\r\n")) return "";
    const auto begin = at + 2 + name.size();
    return text.substr(begin, text.find("\r\n", begin) - begin);
  }

  static void write(int socket, const Scripted& scripted) {
    std::string text = "HTTP/1.1 " + std::to_string(scripted.status) + " Scripted\r\nConnection: close\r\n";
    if (!scripted.header.empty()) text += scripted.header + "\r\n";
    text += "Content-Length: " + std::to_string(scripted.body.size()) + "\r\n\r\n";
    text += scripted.body.substr(0, scripted.body.size() - scripted.bytes_missing);
    for (std::size_t sent = 0; sent < text.size();) {
      const ssize_t step = ::send(socket, text.data() + sent, text.size() - sent, MSG_NOSIGNAL);
      if (step <= 0) return;
      sent += static_cast<std::size_t>(step);
    }
  }

  Script script_;
  int listener_ = -1;
  int port_ = 0;
  mutable std::mutex mutex_;
  std::map<std::string, int> seen_;
  std::vector<Request> requests_;
  int in_flight_ = 0;
  int most_in_flight_ = 0;
  std::jthread acceptor_;
};

}  // namespace holdfast::fakes
