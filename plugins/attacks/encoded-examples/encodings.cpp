#include "encodings.h"

#include <algorithm>
#include <cctype>
#include <cstdint>
#include <functional>

namespace encoded_examples {
namespace {

using Words = std::vector<std::string>;
using Transform = std::function<std::string(const std::string&)>;

// Letters beyond ASCII belong to words.
bool is_of_word(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return byte >= 0x80 || std::isalnum(byte) != 0 || c == '\'';
}

bool is_space(char c) { return std::isspace(static_cast<unsigned char>(c)) != 0; }

Words words_of(const std::string& text) {
  Words words;
  bool open = false;
  for (const char c : text) {
    if (is_of_word(c) && open) {
      words.back() += c;
    } else if (!is_space(c)) {
      words.emplace_back(1, c);
    }
    open = is_of_word(c);
  }
  return words;
}

std::string joined(const Words& words) {
  std::string text;
  for (const auto& word : words) text += (text.empty() ? "" : " ") + word;
  return text;
}

std::string reversed_words(const std::string& text) {
  Words words = words_of(text);
  std::reverse(words.begin(), words.end());
  return joined(words);
}

// The first with the second, the third with the fourth; an odd last one stays.
std::string swapped_words(const std::string& text) {
  Words words = words_of(text);
  for (std::size_t i = 1; i < words.size(); i += 2) std::swap(words[i - 1], words[i]);
  return joined(words);
}

// Of each run of ASCII letters: others have more than one byte.
std::string reversed_letters(const std::string& text) {
  std::string made = text;
  const auto is_letter = [](char c) { return std::isalpha(static_cast<unsigned char>(c)) != 0; };
  for (auto begin = made.begin(); begin != made.end();) {
    begin = std::find_if(begin, made.end(), is_letter);
    const auto end = std::find_if_not(begin, made.end(), is_letter);
    std::reverse(begin, end);
    begin = end;
  }
  return made;
}

// By 13 places, which is its own inverse.
std::string shifted_letters(const std::string& text) {
  std::string made = text;
  for (char& c : made) {
    if (c >= 'a' && c <= 'z') c = static_cast<char>('a' + (c - 'a' + 13) % 26);
    if (c >= 'A' && c <= 'Z') c = static_cast<char>('A' + (c - 'A' + 13) % 26);
  }
  return made;
}

constexpr char kDigits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

std::string to_base64(const std::string& text) {
  std::string made;
  for (std::size_t i = 0; i < text.size(); i += 3) {
    std::uint32_t bits = 0;
    for (std::size_t k = 0; k < 3; ++k) bits = bits << 8 | (i + k < text.size() ? static_cast<unsigned char>(text[i + k]) : 0);
    for (std::size_t k = 0; k < 4; ++k) made += i + k <= text.size() ? kDigits[bits >> (18 - 6 * k) & 63] : '=';
  }
  return made;
}

std::string from_base64(const std::string& text) {
  const std::string digits = kDigits;
  std::string made;
  std::uint32_t bits = 0;
  int held = 0;
  for (const char c : text) {
    const auto digit = digits.find(c);
    if (digit == std::string::npos) continue;
    bits = bits << 6 | static_cast<std::uint32_t>(digit);
    held += 6;
    if (held < 8) continue;
    held -= 8;
    made += static_cast<char>(bits >> held & 255);
  }
  return made;
}

struct Encoding {
  std::string name;
  Transform encode, decode;
};

const std::vector<Encoding>& encodings() {
  static const std::vector<Encoding> all = {{"reversed-words", reversed_words, reversed_words},
                                            {"swapped-words", swapped_words, swapped_words},
                                            {"reversed-letters", reversed_letters, reversed_letters},
                                            {"shifted-letters", shifted_letters, shifted_letters},
                                            {"base64", to_base64, from_base64}};
  return all;
}

const Encoding& encoding(const std::string& name) {
  return *std::find_if(encodings().begin(), encodings().end(), [&](const Encoding& each) { return each.name == name; });
}

}  // namespace

const std::vector<std::string>& encoding_names() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> all;
    for (const auto& each : encodings()) all.push_back(each.name);
    return all;
  }();
  return names;
}

std::string encoded(const std::string& name, const std::string& text) { return encoding(name).encode(text); }

std::string decoded(const std::string& name, const std::string& text) { return encoding(name).decode(text); }

}  // namespace encoded_examples
