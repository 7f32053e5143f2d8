// Simple encodings of text, each with its inverse.
#pragma once

#include <string>
#include <vector>

namespace encoded_examples {

/// "reversed-words", "swapped-words", "reversed-letters", "shifted-letters", "base64".
const std::vector<std::string>& encoding_names();

/// The text under the encoding of that name. Words are runs of letters, digits and apostrophes; other characters that can be
/// seen are words of one character where words change places, so that decoding gives back the words and one space between them.
std::string encoded(const std::string& name, const std::string& text);

/// Its inverse. What is not of the encoding (base64 with other characters) comes out as far as it can be read.
std::string decoded(const std::string& name, const std::string& text);

}  // namespace encoded_examples
