// Whether an address is this machine's own.
#pragma once

#include <string>

namespace holdfast {

/// Whether what is sent to an http:// address never leaves this machine.
inline bool is_loopback(const std::string& url) {
  const auto is_at = [&](const std::string& host) {
    const std::string start = "http://" + host;
    return url.starts_with(start) && (url.size() == start.size() || url[start.size()] == ':' || url[start.size()] == '/');
  };
  return is_at("127.0.0.1") || is_at("localhost") || is_at("[::1]");
}

}  // namespace holdfast
