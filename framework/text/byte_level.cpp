#include "text/byte_level.h"

#include "text/characters.h"

namespace holdfast {

namespace {

// Bytes that are printable in Latin-1 stand for themselves; the others, in order, for the characters from U+0100 on.
bool stands_for_itself(int byte) { return (byte >= '!' && byte <= '~') || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE; }

constexpr std::size_t kCharacters = 0x100 + 68;

std::array<int, kCharacters> make_byte_of() {
  std::array<int, kCharacters> byte_of;
  byte_of.fill(-1);
  std::size_t next = 0x100;
  for (int byte = 0; byte < 256; ++byte) byte_of[stands_for_itself(byte) ? static_cast<std::size_t>(byte) : next++] = byte;
  return byte_of;
}

const std::array<int, kCharacters>& byte_of() {
  static const std::array<int, kCharacters> table = make_byte_of();
  return table;
}

std::array<std::string, 256> make_characters() {
  std::array<std::string, 256> characters;
  for (std::size_t code = 0; code < kCharacters; ++code)
    if (byte_of()[code] >= 0) append_utf8(characters[static_cast<std::size_t>(byte_of()[code])], static_cast<char32_t>(code));
  return characters;
}

}  // namespace

const std::array<std::string, 256>& byte_level_characters() {
  static const std::array<std::string, 256> characters = make_characters();
  return characters;
}

std::optional<std::string> byte_level_bytes(std::string_view token) {
  std::string bytes;
  for (std::size_t at = 0; at < token.size();) {
    const Character character = character_at(token, at);
    if (character.code >= kCharacters || byte_of()[character.code] < 0) return std::nullopt;
    bytes.push_back(static_cast<char>(byte_of()[character.code]));
    at += character.size;
  }
  return bytes;
}

}  // namespace holdfast
