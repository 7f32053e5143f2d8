// Where a store is served (`holdfast serve-store`), and the secret that it asks for.
#pragma once

#include <string>

namespace holdfast {

/// The environment variable with the secret. It is in no file, no message and no log.
inline constexpr const char* kStoreToken = "HOLDFAST_STORE_TOKEN";

struct StoreAddress {
  std::string scheme;  // "http" or "https"
  std::string host;    // a name or an address; one of IPv6 without its brackets
  int port = 0;

  std::string text() const;  // "http://host:port"
};

/// Whether a user who writes this means a served store and no folder.
bool is_store_address(const std::string& text);
/// Throws Error for what is no http:// or https:// address of a host.
StoreAddress store_address(const std::string& text);

/// Whether what listens there is reached from this machine only.
bool is_loopback_host(const std::string& host);

/// The secret, taken out of the environment, so that processes that run other people's code do not inherit it. Empty: none.
/// Throws Error for one that no header can carry.
std::string take_store_token();

}  // namespace holdfast
