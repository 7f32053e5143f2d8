#include "work/request_lines.h"

#include <poll.h>
#include <unistd.h>

#include <cerrno>

namespace holdfast {

// False once there is no more.
bool RequestLines::take_some() {
  char block[65536];
  ssize_t count = ::read(descriptor_, block, sizeof block);
  while (count < 0 && errno == EINTR) count = ::read(descriptor_, block, sizeof block);
  if (count > 0) buffer_.append(block, static_cast<std::size_t>(count));
  ended_ = count <= 0;
  return !ended_;
}

std::optional<Json> RequestLines::whole_line() {
  const auto end = buffer_.find('\n');
  if (end == std::string::npos) return std::nullopt;
  Json line = Json::parse(buffer_.substr(0, end));
  buffer_.erase(0, end + 1);
  return line;
}

std::optional<Json> RequestLines::next() {
  if (!kept_.empty()) {
    Json line = std::move(kept_.front());
    kept_.pop_front();
    return line;
  }
  auto line = whole_line();
  while (!line && !ended_ && take_some()) line = whole_line();
  return line;
}

std::optional<Json> RequestLines::arrived() {
  auto line = whole_line();
  while (!line && !ended_) {
    pollfd watched{descriptor_, POLLIN, 0};
    if (::poll(&watched, 1, 0) <= 0 || !take_some()) break;
    line = whole_line();
  }
  return line;
}

}  // namespace holdfast
