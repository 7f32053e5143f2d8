#include "remote/address.h"

#include <holdfast/error.h>

#include <cstdlib>

#include "base/json.h"

namespace holdfast {
namespace {

constexpr int kHighestPort = 65535;

[[noreturn]] void refuse_address(const std::string& text) {
  throw Error("the store's address is " + in_quotes(text) +
              ", expected one such as http://host:8080, as serve-store prints it");
}

int port_in(const std::string& digits, const std::string& text) {
  if (digits.empty() || digits.size() > 5 || digits.find_first_not_of("0123456789") != std::string::npos) refuse_address(text);
  const int port = std::stoi(digits);
  if (port < 1 || port > kHighestPort) refuse_address(text);
  return port;
}

bool is_host_character(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '.' || c == '-' || c == '_'; }

void check_host(const std::string& host, bool bracketed, const std::string& text) {
  if (host.empty()) refuse_address(text);
  for (const char c : host) {
    if (!is_host_character(c) && !(bracketed && c == ':')) refuse_address(text);
  }
}

}  // namespace

std::string StoreAddress::text() const {
  const bool ipv6 = host.find(':') != std::string::npos;
  return scheme + "://" + (ipv6 ? "[" + host + "]" : host) + ":" + std::to_string(port);
}

bool is_store_address(const std::string& text) { return text.starts_with("http://") || text.starts_with("https://"); }

StoreAddress store_address(const std::string& text) {
  if (!is_store_address(text)) refuse_address(text);
  StoreAddress address;
  address.scheme = text.substr(0, text.find(':'));
  std::string rest = text.substr(address.scheme.size() + 3);
  if (rest.ends_with('/')) rest.pop_back();
  const bool bracketed = rest.starts_with('[');
  const auto host_end = bracketed ? rest.find(']') : rest.find(':');
  if (bracketed && host_end == std::string::npos) refuse_address(text);
  address.host = bracketed ? rest.substr(1, host_end - 1) : rest.substr(0, host_end);
  check_host(address.host, bracketed, text);
  const std::string port = host_end == std::string::npos ? "" : rest.substr(host_end + (bracketed ? 1 : 0));
  if (port.empty()) {
    address.port = address.scheme == "https" ? 443 : 80;
  } else {
    address.port = port_in(port.front() == ':' ? port.substr(1) : "", text);
  }
  return address;
}

bool is_loopback_host(const std::string& host) {
  return host == "localhost" || host == "::1" ||
         (host.starts_with("127.") && host.find_first_not_of("0123456789.") == std::string::npos);
}

std::string take_store_token() {
  const char* given = std::getenv(kStoreToken);
  const std::string token = given == nullptr ? "" : given;
  ::unsetenv(kStoreToken);
  for (const char c : token) {
    if (std::isalnum(static_cast<unsigned char>(c)) == 0 && std::string_view("-._~+/=").find(c) == std::string_view::npos) {
      throw Error(std::string(kStoreToken) + " holds a character that no header carries: expected letters, digits and -._~+/=");
    }
  }
  return token;
}

}  // namespace holdfast
