// What may stand as the address of an endpoint and as the variable of its key. Inline: the SDK's library and the program each
// have it.
#pragma once

#include <algorithm>
#include <cstdlib>
#include <string>

#include "judge/loopback.h"

namespace holdfast {

/// What is wrong with an endpoint's address, or an empty string. It is written into files: it may hold no secret. `like` shows
/// what an address looks like: "https://HOST/v1".
inline std::string trouble_with_address(const std::string& url, const std::string& like) {
  if (!url.starts_with("https://") && !url.starts_with("http://")) return "is no address, expected " + like;
  if (url.find_first_of("@?#") != std::string::npos) {
    return "holds a user, a query or a fragment: give the plain address, and the key through \"key_env\"";
  }
  if (url.find_first_of(" \t\r\n\"\\") != std::string::npos) return "holds white space or quotation marks";
  return "";
}

/// A setting that is at fault, and how.
struct KeyTrouble {
  std::string setting = {};   // empty: none is
  std::string sentence = {};  // never what stands in key_env: it may be the key itself, put there by mistake
};

/// What is wrong with the variable that holds the key of `url`, or with what it holds. `unset` is said where it holds nothing,
/// and `clear` where the key would travel in the clear. `address` names the setting of the url.
inline KeyTrouble trouble_with_key(const std::string& variable, const std::string& url, const std::string& address,
                                   const std::string& unset, const std::string& clear) {
  if (variable.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") != std::string::npos) {
    return {"key_env",
            "\"key_env\" is the name of an environment variable, expected upper-case letters, digits and underscores"};
  }
  const char* value = std::getenv(variable.c_str());
  const std::string key = value == nullptr ? "" : value;
  if (key.empty()) return {"key_env", unset};
  if (!std::all_of(key.begin(), key.end(), [](unsigned char c) { return c > 0x20 && c < 0x7F; })) {
    return {"key_env", "the key in the environment holds white space or control characters: export it without"};
  }
  if (url.starts_with("http://") && !is_loopback(url)) return {address, clear};
  return {};
}

}  // namespace holdfast
