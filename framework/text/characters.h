// UTF-8 and the character classes that tokenizers speak of.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace holdfast {

/// One code point read from UTF-8, and the bytes it took.
struct Character {
  char32_t code;
  std::size_t size;
};

/// The character at `at`; `text` must be valid UTF-8 and `at` the start of a character.
Character character_at(std::string_view text, std::size_t at);
/// Start of the character that ends at `end` (> 0).
std::size_t character_before(std::string_view text, std::size_t end);
void append_utf8(std::string& text, char32_t code);

/// Bytes from `at` that form one whole character, or 0 and in `skip` how many bytes one U+FFFD stands for (the longest
/// prefix of a character, at least 1).
std::size_t valid_size(std::string_view bytes, std::size_t at, std::size_t& skip);
bool is_valid_utf8(std::string_view bytes);
/// Invalid bytes become U+FFFD, one for each longest prefix of a character.
std::string lossy_utf8(std::string_view bytes);

constexpr std::string_view kReplacementCharacter = "\xEF\xBF\xBD";

bool is_space(char32_t code);        // White_Space
bool is_numeric(char32_t code);      // Nd, Nl, No
bool is_punctuation(char32_t code);  // ASCII punctuation and P
bool is_word(char32_t code);         // what the regular expression \w means
bool is_mark(char32_t code);         // M

}  // namespace holdfast
