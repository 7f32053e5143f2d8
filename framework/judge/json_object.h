// Raw verdicts and rules of judges as JSON.
#pragma once

#include <holdfast/judge.h>

#include "base/json.h"

namespace holdfast {

inline Json to_json(const JsonText& value) { return parse_json(value.text, "the JSON of a raw verdict"); }

inline Json to_json(const std::vector<JsonText>& values) {
  Json list = Json::array();
  for (const auto& value : values) list.push_back(to_json(value));
  return list;
}

template <typename Value>
Json to_json(const Value& value) {
  return value;
}

/// Throws Error where a JsonText is none.
inline Json to_json(const JsonObject& object) {
  Json json = Json::object();
  for (const auto& [name, value] : object) json[name] = std::visit([](const auto& held) { return to_json(held); }, value);
  return json;
}

}  // namespace holdfast
