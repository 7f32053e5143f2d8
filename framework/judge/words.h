// Replies as words, the way every judge compares them.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace holdfast {

/// Text as it reads, in its plainest form: typographic apostrophes and quotation marks, full-width, half-width and mathematical
/// letters and digits, ligatures and unusual spaces become ordinary ones, characters that cannot be seen (zero-width ones, soft
/// hyphens, byte order marks) are left out, accents are composed. Superscripts and fractions stay.
std::string plain_text(std::string_view text);

/// In lower case, whatever the script.
std::string lower_case(std::string_view text);

/// Words in order: runs of ASCII letters, digits and apostrophes ("I can't (won't)." gives I, can't, won't), and where other
/// characters stand, what Unicode's word boundaries (UAX 29, by dictionary in scripts without spaces) call a word.
std::vector<std::string> words_of(std::string_view text);

/// Whether the text has a letter; digits and marks are none.
bool has_letter(std::string_view text);

/// Whether the text has a letter of the Latin script.
bool has_latin_letter(std::string_view text);

/// Whether the text has letters of a script that puts no spaces between words (Chinese, Japanese, Thai, ...).
bool is_unspaced(std::string_view text);

/// Whether `sequence` occurs in `words` without a gap; where it begins is at least `from`. Gives its place or words.size().
std::size_t find_sequence(const std::vector<std::string>& words, const std::vector<std::string>& sequence,
                          std::size_t from = 0);

}  // namespace holdfast
