// cpp-httplib's server on connections with limits.
#pragma once

#include <httplib.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include "remote/connection.h"

namespace holdfast {

/// The bytes of a request's body; nothing where that cannot be told, so that nobody knows where the next request begins.
std::optional<std::uint64_t> body_bytes(const httplib::Request& request);

/// Whether the client whose request this thread serves has gone away. False for a thread that serves none.
bool client_is_gone();

/// An address of its own: a second server on one port is refused. Where many clients are connected, each gets one answer and
/// connects anew, so that those who only wait hold no thread.
class LimitedServer final : public httplib::Server {
 public:
  explicit LimitedServer(const ConnectionLimits& limits);
  /// Ends what is under way.
  ~LimitedServer() override;

  /// Before it listens: what is done with each request whose head was read, before anything else is.
  void on_head(std::function<void(httplib::Request&)> call) { on_head_ = std::move(call); }
  /// Answers from now on, on threads of its own, many clients at a time, and gives the port; 0: any that is free. Throws Error
  /// where the address cannot be had.
  int begin(const std::string& host, int port);

 private:
  bool process_and_close_socket(socket_t socket) override;

  const ConnectionLimits limits_;
  std::function<void(httplib::Request&)> on_head_;
  std::atomic<bool> stopping_ = false;  // ends every wait of a connection
  std::atomic<int> open_ = 0;
  std::thread listener_;
};

}  // namespace holdfast
