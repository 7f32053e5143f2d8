// The prompt of a judge model, put together from a template of ours and the texts under review, and numbers read off an answer.
#include <holdfast/judge.h>

#include <algorithm>
#include <regex>

namespace holdfast {
namespace {

bool is_digit(const std::string& text, std::size_t at) { return at < text.size() && text[at] >= '0' && text[at] <= '9'; }

// Where each character begins, in bytes.
std::vector<std::size_t> character_starts(const std::string& text) {
  std::vector<std::size_t> starts;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if ((static_cast<unsigned char>(text[i]) & 0xC0) != 0x80) starts.push_back(i);
  }
  return starts;
}

std::string digits_at(const std::string& text, std::size_t at) {
  const auto end = std::min(text.find_first_not_of("0123456789", at), text.size());
  return text.substr(at, end - at);
}

std::size_t skipped(const std::string& text, std::size_t at, const char* characters) {
  return std::min(text.find_first_not_of(characters, at), text.size());
}

// Whether what follows a number makes it another one ("4.5", "4/10", "4 out of 10") or one of two ("3-4", "3 or 4").
bool goes_on(const std::string& text, std::size_t at, int high) {
  if (is_digit(text, at + 1) && (text[at] == '.' || text[at] == ',')) return true;
  at = skipped(text, at, " ");
  for (const std::string whole : {"/", "out of", "of"}) {
    const auto after = skipped(text, at + whole.size(), " ");
    if (text.compare(at, whole.size(), whole) == 0 && is_digit(text, after))
      return digits_at(text, after) != std::to_string(high);
  }
  for (const std::string other : {"-", "\xE2\x80\x93", "\xE2\x80\x94", "~", "or", "to", "and"}) {
    if (text.compare(at, other.size(), other) == 0 && is_digit(text, skipped(text, at + other.size(), " "))) return true;
  }
  return false;
}

// The whole number that stands at a place.
std::optional<int> number_at(const std::string& text, std::size_t at, int low, int high) {
  const std::string digits = digits_at(text, at);
  if (digits.size() != 1 || goes_on(text, at + 1, high)) return std::nullopt;
  const int number = digits.front() - '0';
  return number >= low && number <= high ? std::optional(number) : std::nullopt;
}

std::string last_line(std::string text) {
  text.erase(text.find_last_not_of(" \t\r\n") + 1);
  return text.substr(text.find_last_of('\n') + 1);
}

}  // namespace

std::string filled(const std::string& text, const std::map<std::string, std::string>& values) {
  std::string out;
  std::size_t begin = 0;
  for (auto at = text.find('{'); at != std::string::npos; at = text.find('{', at + 1)) {
    const auto end = text.find('}', at);
    const auto value = end == std::string::npos ? values.end() : values.find(text.substr(at + 1, end - at - 1));
    if (value == values.end()) continue;
    out += text.substr(begin, at - begin) + value->second;
    begin = end + 1;
  }
  return out + text.substr(begin);
}

std::string shortened(const std::string& text, std::size_t limit) {
  const auto starts = character_starts(text);
  if (starts.size() <= limit) return text;
  const std::size_t head = limit - limit / 2, tail = limit / 2;
  const std::size_t tail_begin = tail == 0 ? text.size() : starts[starts.size() - tail];
  return text.substr(0, starts[head]) + "\n[... " + std::to_string(starts.size() - limit) + " characters left out ...]\n" +
         text.substr(tail_begin);
}

std::string instruction_text(const Conversation& prompt) {
  if (prompt.size() == 1) return prompt.front().content;
  std::string text;
  for (const auto& turn : prompt) text += (text.empty() ? "" : "\n\n") + turn.role + ": " + turn.content;
  return text;
}

std::optional<int> tagged_number(const std::string& answer, const std::string& tag, int low, int high) {
  const std::string text = lower_case(plain_text(answer));
  const auto found = text.rfind("#" + tag);
  if (found == std::string::npos) return std::nullopt;
  const auto at = text.find_first_not_of(" \t\r\n:*_`\"'=#[($<", found + 1 + tag.size());
  if (at == std::string::npos || text.find_first_of(":=", found) >= at) return std::nullopt;
  return number_at(text, at, low, high);
}

std::optional<int> last_line_number(const std::string& answer, int low, int high) {
  static const std::regex kScore(
      "[^a-z0-9]*(?:(?:the|my|final|overall|score|rating|is)[^a-z0-9]+)*([0-9])(?: *(?:/|out of|of) *([0-9]+))?[^a-z0-9]*");
  const std::string line = last_line(lower_case(plain_text(answer)));
  std::smatch found;
  if (!std::regex_match(line, found, kScore)) return std::nullopt;
  const auto at = static_cast<std::size_t>(found.position(1));
  const bool negative = at > 0 && line[at - 1] == '-';
  return negative ? std::nullopt : number_at(line, at, low, high);
}

}  // namespace holdfast
