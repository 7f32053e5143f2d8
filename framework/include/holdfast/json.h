// JSON as plugins write and read it.
#pragma once

#include <holdfast/visibility.h>

#include <cstdint>
#include <map>
#include <string>
#include <variant>
#include <vector>

namespace HOLDFAST_PUBLIC holdfast {

/// One value of JSON, as text.
struct JsonText {
  std::string text;
};
/// What one key of a JsonObject holds.
using JsonValue =
    std::variant<bool, std::int64_t, double, std::string, std::vector<double>, std::vector<std::string>, std::vector<JsonText>>;
/// What a verdict stores beside its outcomes.
using JsonObject = std::map<std::string, JsonValue>;

/// A JSON value taken apart, or put together: nothing is null.
struct JsonTree {
  using List = std::vector<JsonTree>;
  using Object = std::map<std::string, JsonTree>;
  std::variant<std::monostate, bool, double, std::string, List, Object> value = {};
};

/// Throws Error that says what is wrong with the text and where; deeper than a hundred lists and objects is wrong too.
JsonTree read_json(const std::string& text);
/// On one line and in ASCII, names in order; broken UTF-8 becomes U+FFFD, and a number that JSON has not becomes null.
std::string json_text(const JsonTree& tree);

}  // namespace holdfast
