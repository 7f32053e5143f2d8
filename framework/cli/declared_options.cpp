#include "cli/declared_options.h"

#include <algorithm>
#include <cctype>
#include <charconv>

namespace holdfast::cli {
namespace {

// Null when the text is none.
Json number(OptionKind kind, const std::string& text) {
  const char* end = text.data() + text.size();
  std::int64_t integer = 0;
  double real = 0;
  const auto read =
      kind == OptionKind::kInteger ? std::from_chars(text.data(), end, integer) : std::from_chars(text.data(), end, real);
  if (read.ec != std::errc() || read.ptr != end) return nullptr;
  return kind == OptionKind::kInteger ? Json(integer) : Json(real);
}

}  // namespace

std::string word_of(const OptionRule& rule) {
  std::string word = "--" + rule.name;
  std::replace(word.begin(), word.end(), '_', '-');
  return word;
}

std::string help_of(const OptionRule& rule, const Json& default_value) {
  std::string help = rule.help;
  help[0] = static_cast<char>(std::toupper(help[0]));
  for (const auto& choice : rule.choices) help += (&choice == &rule.choices.front() ? ": " : ", ") + choice;
  if (rule.kind == OptionKind::kTexts) return help + " (with commas between)";
  if (rule.kind == OptionKind::kFlag) return help + (default_value.get<bool>() ? " (default: yes)" : " (default: no)");
  return help + " (default: " + (default_value.is_string() ? default_value.get<std::string>() : shown(default_value)) + ")";
}

const char* type_of(const OptionRule& rule) {
  if (rule.kind == OptionKind::kInteger) return "INT";
  return rule.kind == OptionKind::kNumber ? "FLOAT" : "TEXT";
}

Json value_of(const OptionRule& rule, const std::string& text) {
  const Json value = rule.kind == OptionKind::kText ? Json(text) : number(rule.kind, text);
  if (fits(rule, value)) return value;
  throw CLI::ValidationError(word_of(rule), "\"" + text + "\" is given, expected " + expected(rule));
}

}  // namespace holdfast::cli
