#include "judge/question.h"

#include <algorithm>
#include <vector>

#include "judge/words.h"

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

// Whether what follows a number makes it another one: "4.5", "4/10", "3-4".
bool goes_on(const std::string& text, std::size_t at, int high) {
  if (at >= text.size() || !is_digit(text, at + 1)) return false;
  if (text[at] == '/') return digits_at(text, at + 1) != std::to_string(high);
  return text[at] == '.' || text[at] == ',' || text[at] == '-';
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
  const std::string text = lower_case(answer);
  const auto found = text.rfind("#" + tag);
  if (found == std::string::npos) return std::nullopt;
  const auto at = text.find_first_not_of(" \t\r\n:*_`\"'=#[(", found + 1 + tag.size());
  if (at == std::string::npos || text.find(':', found) >= at) return std::nullopt;
  const std::string digits = digits_at(text, at);
  if (digits.size() != 1 || goes_on(text, at + 1, high)) return std::nullopt;
  const int number = digits.front() - '0';
  return number >= low && number <= high ? std::optional(number) : std::nullopt;
}

}  // namespace holdfast
