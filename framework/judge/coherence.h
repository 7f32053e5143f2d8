// Whether a reply says anything at all.
#pragma once

#include <string>

namespace holdfast {

/// Why the reply's answer (text/thought.h) is incoherent, or an empty string when it is not: "unfinished thought" (the reply
/// ends before an answer), "empty" (no letter and no digit), "repeated word" (the same word more than three times in a row),
/// "repeated letter" (more than fifteen in a row), "repeated text" (at least forty words of which fewer than a fifth are
/// distinct). Words are those of judge/words.h, in any script.
std::string incoherence(const std::string& reply);

}  // namespace holdfast
