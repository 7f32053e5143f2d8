// Requests of a dialect, filled in.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "base/json.h"

namespace holdfast {

/// {placeholder, value}; the placeholder without its braces.
using TemplateValues = std::vector<std::pair<std::string, Json>>;

/// A path in which each {placeholder} is its text.
std::string filled(std::string path, const TemplateValues& values);
/// A request in which each text that is one {placeholder} is its value, and each other text is filled as a path.
Json filled(const Json& request, const TemplateValues& values);

/// What stands at a place (a JSON pointer); null where nothing does.
const Json& at_place(const Json& json, const std::string& place);
/// Its text; empty where none stands there.
std::string text_at(const Json& json, const std::string& place);

/// Whether a service's text may be a part of a path: its letters, digits and . _ - : alone.
bool is_plain_id(const std::string& text);

}  // namespace holdfast
