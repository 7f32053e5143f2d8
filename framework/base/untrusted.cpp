#include "base/untrusted.h"

namespace holdfast {

bool nests_too_deep(std::string_view text) {
  int depth = 0;
  bool in_text = false;
  for (std::size_t at = 0; at < text.size(); ++at) {
    const char c = text[at];
    if (c == '"') in_text = !in_text;
    if (in_text) {
      if (c == '\\') ++at;
      continue;
    }
    if ((c == '[' || c == '{') && ++depth > kDeepestJson) return true;
    if (c == ']' || c == '}') --depth;
  }
  return false;
}

bool has_zero_byte(std::string_view text) { return text.find('\0') != std::string_view::npos; }

Json json_or_discarded(std::string_view text) {
  if (nests_too_deep(text) || has_zero_byte(text)) return Json(Json::value_t::discarded);
  return Json::parse(text, nullptr, false);
}

std::int64_t whole_number(const Json& value) {
  const bool fits = !value.is_number_unsigned() || value.get<std::uint64_t>() <= static_cast<std::uint64_t>(INT64_MAX);
  if (value.is_number_integer() && fits) return value.get<std::int64_t>();
  throw Json::type_error::create(302, "expected an integer, found " + in_short(value), &value);
}

std::uint64_t whole_size(const Json& value) {
  const std::int64_t number = whole_number(value);
  if (number < 0) throw Json::type_error::create(302, "expected a size, found " + in_short(value), &value);
  return static_cast<std::uint64_t>(number);
}

std::string in_short(const Json& value) {
  constexpr std::size_t kLongest = 100;
  const std::string text = canonical(value);
  return text.size() <= kLongest ? text : canonical(text.substr(0, kLongest) + "...");
}

bool is_there(const fs::path& path) {
  std::error_code ignored;
  return fs::exists(path, ignored);
}

}  // namespace holdfast
