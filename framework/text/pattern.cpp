#include "text/pattern.h"

#include <holdfast/error.h>

#define ONIG_ESCAPE_UCHAR_COLLISION
#include <oniguruma.h>

#include <mutex>

#include "text/characters.h"

namespace holdfast {

namespace {

using Byte = OnigUChar;

const Byte* bytes(std::string_view text) { return reinterpret_cast<const Byte*>(text.data()); }

std::string onig_message(int code, const OnigErrorInfo* info) {
  Byte message[ONIG_MAX_ERROR_MESSAGE_LEN];
  const int size = info ? onig_error_code_to_str(message, code, info) : onig_error_code_to_str(message, code);
  return std::string(reinterpret_cast<const char*>(message), static_cast<std::size_t>(size));
}

void initialize_onig() {
  static std::once_flag once;
  std::call_once(once, [] {
    OnigEncoding encodings[] = {ONIG_ENCODING_UTF8};
    onig_initialize(encodings, 1);
  });
}

struct RegionDeleter {
  void operator()(OnigRegion* region) const { onig_region_free(region, 1); }
};

}  // namespace

struct Pattern::Regex {
  regex_t* compiled = nullptr;
  std::string source;

  Regex(const std::string& expression, std::string named) : source(std::move(named)) {
    initialize_onig();
    OnigErrorInfo info{};
    const Byte* begin = bytes(expression);
    const int code =
        onig_new(&compiled, begin, begin + expression.size(), ONIG_OPTION_NONE, ONIG_ENCODING_UTF8, ONIG_SYNTAX_RUBY, &info);
    if (code != ONIG_NORMAL)
      throw Error(source + ": the regular expression \"" + expression + "\" is not valid: " + onig_message(code, &info));
  }
  ~Regex() { onig_free(compiled); }
  Regex(const Regex&) = delete;
  Regex& operator=(const Regex&) = delete;

  std::vector<Stretch> split(std::string_view text) const;
};

std::vector<Stretch> Pattern::Regex::split(std::string_view text) const {
  std::vector<Stretch> stretches;
  const std::unique_ptr<OnigRegion, RegionDeleter> region(onig_region_new());
  const Byte* begin = bytes(text);
  const Byte* end = begin + text.size();
  std::size_t covered = 0;
  std::size_t last_match_end = std::string_view::npos;
  for (std::size_t at = 0; at <= text.size();) {
    const int found = onig_search(compiled, begin, end, begin + at, end, region.get(), ONIG_OPTION_NONE);
    if (found == ONIG_MISMATCH) break;
    if (found < 0) throw Error(source + ": a regular expression gave up: " + onig_message(found, nullptr));
    const auto from = static_cast<std::size_t>(region->beg[0]);
    const auto to = static_cast<std::size_t>(region->end[0]);
    // An empty match moves on by a character, and is none where the match before it ended.
    at = to > from ? to : to < text.size() ? to + character_at(text, to).size : text.size() + 1;
    if (from == to && to == last_match_end) continue;
    if (covered < from) stretches.push_back({covered, from, false});
    stretches.push_back({from, to, true});
    covered = last_match_end = to;
  }
  if (covered < text.size()) stretches.push_back({covered, text.size(), false});
  return stretches;
}

Pattern Pattern::literal(std::string text) {
  Pattern pattern;
  pattern.literal_ = std::move(text);
  return pattern;
}

Pattern Pattern::regex(const std::string& expression, const std::string& source) {
  Pattern pattern;
  pattern.regex_ = std::make_shared<const Regex>(expression, source);
  return pattern;
}

Pattern Pattern::from_json(const Definition& definition) {
  if (definition.has("String")) return literal(definition.string("String"));
  if (!definition.has("Regex")) definition.fail("expected a \"String\" or a \"Regex\"");
  try {
    return regex(definition.string("Regex"), "Regex");
  } catch (const Error& error) {
    definition.fail(error.what());
  }
}

std::vector<Stretch> Pattern::split_literal(std::string_view text) const {
  std::vector<Stretch> stretches;
  std::size_t covered = 0;
  while (!literal_.empty()) {
    const std::size_t found = text.find(literal_, covered);
    if (found == std::string_view::npos) break;
    if (covered < found) stretches.push_back({covered, found, false});
    covered = found + literal_.size();
    stretches.push_back({found, covered, true});
  }
  if (covered < text.size()) stretches.push_back({covered, text.size(), false});
  return stretches;
}

std::vector<Stretch> Pattern::split(std::string_view text) const { return regex_ ? regex_->split(text) : split_literal(text); }

AlignedText Pattern::replace(const AlignedText& text, std::string_view by) const {
  AlignedText result;
  for (const Stretch& stretch : split(text.text)) {
    if (stretch.matched)
      result.append(by, text.origin_of(stretch.begin, stretch.end));
    else
      result.append(text, stretch.begin, stretch.end);
  }
  return result;
}

std::string Pattern::replace(const std::string& text, std::string_view by) const {
  std::string result;
  for (const Stretch& stretch : split(text))
    result.append(stretch.matched ? by : std::string_view(text).substr(stretch.begin, stretch.end - stretch.begin));
  return result;
}

}  // namespace holdfast
