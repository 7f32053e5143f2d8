// One client's connection, as cpp-httplib reads and writes it, with limits that cpp-httplib lacks: how long and how large the
// head of a request may be, and how slowly a body may come.
#pragma once

#include <httplib.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <string>

namespace holdfast {

/// In seconds and bytes.
struct ConnectionLimits {
  double idle = 5;   // between two requests of one connection
  double head = 20;  // until the head of a request is whole
  std::size_t head_bytes = 32 << 10;
  double quiet = 30;      // without a byte of a body, or of an answer that is taken
  double slowest = 4096;  // bytes of a body a second, in the mean
};

class Connection final : public httplib::Stream {
 public:
  /// `stopping` ends every wait.
  Connection(socket_t socket, const ConnectionLimits& limits, const std::atomic<bool>& stopping);

  /// Waits for the first byte of a request. False where none comes.
  bool await_request();
  /// What is read from now on is the body, of so many bytes. Where nobody knows how many, this is not called, and the
  /// connection is good for nothing else.
  void begin_body(std::uint64_t bytes);
  /// Whether all of the request was read: else what comes next is no request.
  bool is_whole() const { return in_body_ && body_left_ == 0; }
  /// Whether the client has closed its end, or lost it, or all connections are being ended.
  bool is_gone() const;
  /// Says that no more is sent, and lets the client, for a moment, send what it is at, so that it reads its answer.
  void end();

  bool is_readable() const override;
  bool is_writable() const override;
  ssize_t read(char* target, std::size_t size) override;
  ssize_t write(const char* data, std::size_t size) override;
  void get_remote_ip_and_port(std::string& ip, int& port) const override;
  void get_local_ip_and_port(std::string& ip, int& port) const override;
  socket_t socket() const override { return socket_; }

 private:
  using Clock = std::chrono::steady_clock;

  bool wait(short events, Clock::time_point deadline) const;
  bool fill();
  bool has_room(std::size_t size);

  const socket_t socket_;
  const ConnectionLimits& limits_;
  const std::atomic<bool>& stopping_;
  std::array<char, 16384> buffer_;
  std::size_t begin_ = 0, end_ = 0;  // of what is in the buffer
  bool in_body_ = false;
  std::size_t head_left_ = 0;
  std::uint64_t body_left_ = 0;
  Clock::time_point deadline_{};
};

}  // namespace holdfast
