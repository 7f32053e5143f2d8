#include "judge/words.h"

#include <algorithm>
#include <array>
#include <utility>

namespace holdfast {
namespace {

bool is_letter(unsigned char byte) { return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z'); }

bool in_word(unsigned char byte) { return is_letter(byte) || (byte >= '0' && byte <= '9') || byte == '\'' || byte >= 0x80; }

}  // namespace

std::string plain_quotes(std::string_view text) {
  // U+2018, U+2019, U+02BC and U+201C, U+201D.
  static constexpr std::array<std::pair<std::string_view, char>, 5> kForms = {
      {{"\xE2\x80\x98", '\''}, {"\xE2\x80\x99", '\''}, {"\xCA\xBC", '\''}, {"\xE2\x80\x9C", '"'}, {"\xE2\x80\x9D", '"'}}};
  std::string plain;
  while (!text.empty()) {
    const auto form =
        std::find_if(kForms.begin(), kForms.end(), [&](const auto& pair) { return text.starts_with(pair.first); });
    plain += form == kForms.end() ? text.front() : form->second;
    text.remove_prefix(form == kForms.end() ? 1 : form->first.size());
  }
  return plain;
}

std::string lower_case(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return lower;
}

std::vector<std::string> words_of(std::string_view text) {
  std::vector<std::string> words;
  std::string word;
  const auto flush = [&] {
    const auto first = word.find_first_not_of('\'');
    if (first != std::string::npos) words.push_back(word.substr(first, word.find_last_not_of('\'') - first + 1));
    word.clear();
  };
  for (const char c : text) {
    if (in_word(static_cast<unsigned char>(c))) {
      word += c;
    } else {
      flush();
    }
  }
  flush();
  return words;
}

std::size_t find_sequence(const std::vector<std::string>& words, const std::vector<std::string>& sequence, std::size_t from) {
  if (from > words.size()) return words.size();
  const auto found =
      std::search(words.begin() + static_cast<std::ptrdiff_t>(from), words.end(), sequence.begin(), sequence.end());
  return static_cast<std::size_t>(found - words.begin());
}

}  // namespace holdfast
