#include "remote/connection.h"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "remote/wire.h"

namespace holdfast {
namespace {

constexpr int kSliceMilliseconds = 100;
constexpr double kFarewell = 1;  // seconds for a client that is still sending
constexpr std::size_t kFarewellBytes = 64UL << 20;

std::chrono::steady_clock::duration seconds(double value) {
  constexpr double kForever = 1e9;
  value = std::min(value, kForever);
  return std::chrono::duration_cast<std::chrono::steady_clock::duration>(std::chrono::duration<double>(value));
}

}  // namespace

Connection::Connection(socket_t socket, const ConnectionLimits& limits, const std::atomic<bool>& stopping)
    : socket_(socket), limits_(limits), stopping_(stopping) {}

bool Connection::wait(short events, Clock::time_point deadline) const {
  while (!stopping_) {
    pollfd watched{socket_, events, 0};
    const int found = ::poll(&watched, 1, kSliceMilliseconds);
    if (found > 0) return true;
    if (found < 0 && errno != EINTR) return false;
    if (Clock::now() >= deadline) return false;
  }
  return false;
}

bool Connection::await_request() {
  if (begin_ == end_ && !wait(POLLIN, Clock::now() + seconds(limits_.idle))) return false;
  in_body_ = false;
  head_left_ = limits_.head_bytes;
  deadline_ = Clock::now() + seconds(limits_.head);
  return true;
}

void Connection::begin_body(std::uint64_t bytes) {
  in_body_ = true;
  body_left_ = bytes;
  deadline_ = Clock::now() + seconds(limits_.quiet + static_cast<double>(bytes) / limits_.slowest);
}

bool Connection::fill() {
  const auto patience = in_body_ ? std::min(deadline_, Clock::now() + seconds(limits_.quiet)) : deadline_;
  if (!wait(POLLIN, patience)) return false;
  const ssize_t got = ::recv(socket_, buffer_.data(), buffer_.size(), 0);
  begin_ = 0;
  end_ = static_cast<std::size_t>(std::max<ssize_t>(0, got));
  return got > 0;
}

bool Connection::has_room(std::size_t size) { return in_body_ ? size <= body_left_ : size <= head_left_; }

ssize_t Connection::read(char* target, std::size_t size) {
  if (size == 0) return 0;
  if (begin_ == end_ && !fill()) return -1;
  const std::size_t taken = std::min(size, end_ - begin_);
  if (!has_room(taken) || Clock::now() >= deadline_) return -1;
  if (in_body_) {
    body_left_ -= taken;
  } else {
    head_left_ -= taken;
  }
  std::memcpy(target, buffer_.data() + begin_, taken);
  begin_ += taken;
  return static_cast<ssize_t>(taken);
}

ssize_t Connection::write(const char* data, std::size_t size) {
  if (!wait(POLLOUT, Clock::now() + seconds(limits_.quiet))) return -1;
  return ::send(socket_, data, std::min(size, kPiece), MSG_NOSIGNAL);
}

bool Connection::is_gone() const {
  if (stopping_) return true;
  char next = 0;
  const ssize_t got = ::recv(socket_, &next, 1, MSG_PEEK | MSG_DONTWAIT);
  return got == 0 || (got < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR);
}

void Connection::end() {
  ::shutdown(socket_, SHUT_WR);
  const auto deadline = Clock::now() + seconds(kFarewell);
  for (std::size_t left = kFarewellBytes; left > 0 && Clock::now() < deadline && wait(POLLIN, deadline);) {
    const ssize_t got = ::recv(socket_, buffer_.data(), buffer_.size(), 0);
    if (got <= 0) return;
    left -= std::min(left, static_cast<std::size_t>(got));
  }
}

bool Connection::is_readable() const { return begin_ < end_ || wait(POLLIN, deadline_); }

bool Connection::is_writable() const { return wait(POLLOUT, Clock::now() + seconds(limits_.quiet)); }

// Whom it speaks with is of no interest to any route.
void Connection::get_remote_ip_and_port(std::string& ip, int& port) const {
  ip.clear();
  port = 0;
}

void Connection::get_local_ip_and_port(std::string& ip, int& port) const {
  ip.clear();
  port = 0;
}

}  // namespace holdfast
