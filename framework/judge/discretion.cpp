#include "judge/discretion.h"

#include "base/untrusted.h"

namespace holdfast {
namespace {

std::string without_key(std::string text, const std::string& key) {
  static const std::string kInstead = "[key]";
  for (auto at = text.find(key); at != std::string::npos; at = text.find(key, at + kInstead.size())) {
    text.replace(at, key.size(), kInstead);
  }
  return text;
}

void make_discreet(Json& json, const std::string& key) {
  if (json.is_string()) json = without_key(json.get<std::string>(), key);
  if (!json.is_structured()) return;
  for (auto& part : json) make_discreet(part, key);
}

}  // namespace

std::string discreet(std::string body, const std::string& key) {
  if (key.empty()) return body;
  Json json = body.find('\\') == std::string::npos ? Json(Json::value_t::discarded) : json_or_discarded(body);
  if (json.is_discarded()) return without_key(std::move(body), key);
  make_discreet(json, key);
  return json.dump();
}

}  // namespace holdfast
