#include "base/option.h"

#include <algorithm>
#include <sstream>

namespace holdfast {
namespace {

bool within(const OptionRule& rule, double value) { return value >= rule.lowest && value <= rule.highest; }  // a NaN is not

std::string range_text(const OptionRule& rule) {
  const std::string low = shown(rule.lowest);
  return rule.highest < kUnlimited ? " from " + low + " to " + shown(rule.highest) : " of at least " + low;
}

std::string listed(const std::vector<std::string>& words) {
  std::string text;
  for (std::size_t i = 0; i < words.size(); ++i) {
    text += (i == 0 ? "\"" : i + 1 == words.size() ? " or \"" : ", \"") + words[i] + "\"";
  }
  return text;
}

}  // namespace

std::string shown(const Json& value) {
  if (!value.is_number_float()) return value.dump();
  std::ostringstream text;
  text << value.get<double>();
  return text.str();
}

std::string expected(const OptionRule& rule) {
  switch (rule.kind) {
    case OptionKind::kText:
      return rule.choices.empty() ? "a text" : listed(rule.choices);
    case OptionKind::kInteger:
      return "an integer" + range_text(rule);
    case OptionKind::kNumber:
      return "a number" + range_text(rule);
    case OptionKind::kFlag:
      return "true or false";
    case OptionKind::kTexts:
      return "a list of texts";
  }
  return "";
}

bool fits(const OptionRule& rule, const Json& value) {
  const auto is_text = [](const Json& item) { return item.is_string(); };
  switch (rule.kind) {
    case OptionKind::kText:
      return is_text(value) &&
             (rule.choices.empty() || std::count(rule.choices.begin(), rule.choices.end(), value.get<std::string>()) > 0);
    case OptionKind::kInteger:
      return value.is_number_integer() && within(rule, value.get<double>());
    case OptionKind::kNumber:
      return value.is_number() && within(rule, value.get<double>());
    case OptionKind::kFlag:
      return value.is_boolean();
    case OptionKind::kTexts:
      return value.is_array() && std::all_of(value.begin(), value.end(), is_text);
  }
  return false;
}

}  // namespace holdfast
