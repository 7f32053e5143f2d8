// For what other people wrote: JSON and paths that may be anything.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/file.h"
#include "base/json.h"

namespace holdfast {

/// Lists and objects may lie in each other so deep; to copy, print or compare a value takes stack for each of them.
inline constexpr int kDeepestJson = 500;
/// Whether a text opens more than kDeepestJson lists and objects in each other, be it JSON or not.
bool nests_too_deep(std::string_view text);

/// Whether a zero byte stands in a text: a parser that takes it for the end passes over all that follows.
bool has_zero_byte(std::string_view text);

/// One JSON document, or a discarded value for a text that is none or nests too deep.
Json json_or_discarded(std::string_view text);

/// An integer. Throws Json::type_error, as get() does, for what is none of 64 bits with a sign: to get one of another number
/// would be undefined where that is too large.
std::int64_t whole_number(const Json& value);

/// The same of a size, which is none below zero.
std::uint64_t whole_size(const Json& value);

/// A value as an error shows it: on one line, with no broken UTF-8, cut when long.
std::string in_short(const Json& value);

/// Whether there is something at the path. A path that no file can have (too long) is not there.
bool is_there(const fs::path& path);

}  // namespace holdfast
