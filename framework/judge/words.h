// Replies as words, the way every judge compares them.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace holdfast {

/// Typographic apostrophes and quotation marks as their ASCII forms.
std::string plain_quotes(std::string_view text);

/// ASCII letters in lower case; other bytes stay.
std::string lower_case(std::string_view text);

/// Runs of letters, digits, apostrophes and non-ASCII bytes, in order. "I can't (won't)." gives I, can't, won't.
std::vector<std::string> words_of(std::string_view text);

/// Whether `sequence` occurs in `words` without a gap; where it begins is at least `from`. Gives its place or words.size().
std::size_t find_sequence(const std::vector<std::string>& words, const std::vector<std::string>& sequence,
                          std::size_t from = 0);

}  // namespace holdfast
