#include "provider/templates.h"

#include <algorithm>
#include <cctype>

namespace holdfast {
namespace {

std::string as_text(const Json& value) { return value.is_string() ? value.get<std::string>() : value.dump(); }

}  // namespace

std::string filled(std::string path, const TemplateValues& values) {
  for (const auto& [name, value] : values) {
    const std::string placeholder = "{" + name + "}";
    const std::string text = as_text(value);
    for (auto at = path.find(placeholder); at != std::string::npos; at = path.find(placeholder, at + text.size())) {
      path.replace(at, placeholder.size(), text);
    }
  }
  return path;
}

Json filled(const Json& request, const TemplateValues& values) {
  if (request.is_structured()) {
    Json made = request;
    for (auto& part : made) part = filled(Json(part), values);
    return made;
  }
  if (!request.is_string()) return request;
  const auto text = request.get<std::string>();
  for (const auto& [name, value] : values) {
    if (text == "{" + name + "}") return value;
  }
  return filled(text, values);
}

const Json& at_place(const Json& json, const std::string& place) {
  static const Json kNothing;
  const Json* found = &json;
  for (std::size_t begin = 1; begin <= place.size() && !place.empty();) {
    const std::size_t end = std::min(place.find('/', begin), place.size());
    const std::string name = place.substr(begin, end - begin);
    begin = end + 1;
    if (found->is_object() && found->contains(name)) {
      found = &(*found)[name];
    } else if (found->is_array() && name == "0" && !found->empty()) {
      found = &found->front();
    } else {
      return kNothing;
    }
  }
  return place.empty() ? kNothing : *found;
}

std::string text_at(const Json& json, const std::string& place) {
  const Json& found = at_place(json, place);
  return found.is_string() ? found.get<std::string>() : "";
}

bool is_plain_id(const std::string& text) {
  return !text.empty() && text.size() <= 256 && text.find_first_not_of('.') != std::string::npos &&
         std::all_of(text.begin(), text.end(),
                     [](unsigned char c) { return std::isalnum(c) != 0 || c == '.' || c == '_' || c == '-' || c == ':'; });
}

}  // namespace holdfast
