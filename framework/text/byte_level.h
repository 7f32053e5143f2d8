// The one-to-one map between bytes and printable characters that byte-level BPE vocabularies are written in.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>

namespace holdfast {

/// The character, as UTF-8, that stands for each byte.
const std::array<std::string, 256>& byte_level_characters();
/// The bytes that a token stands for; nothing when a character of it stands for no byte.
std::optional<std::string> byte_level_bytes(std::string_view token);

}  // namespace holdfast
