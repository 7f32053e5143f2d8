// cpp-httplib's server on connections with limits.
#pragma once

#include <httplib.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <optional>
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

  /// After it was bound: lets many clients connect at a time.
  void widen_backlog();
  /// Before it listens: what is done with each request whose head was read, before anything else is.
  void on_head(std::function<void(httplib::Request&)> call) { on_head_ = std::move(call); }
  /// Ends every wait of its connections, so that stop() is soon over.
  void end_connections() { stopping_ = true; }

 private:
  bool process_and_close_socket(socket_t socket) override;

  const ConnectionLimits limits_;
  std::function<void(httplib::Request&)> on_head_;
  std::atomic<bool> stopping_ = false;
  std::atomic<int> open_ = 0;
};

}  // namespace holdfast
