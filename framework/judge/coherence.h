// Whether a reply says anything at all.
#pragma once

#include <string>

namespace holdfast {

/// Why the reply is incoherent, or an empty string when it is not: "empty" (no letter and no digit), "repeated word" (the same
/// word more than three times in a row), "repeated letter" (more than fifteen in a row), "repeated text" (at least forty words
/// of which fewer than a fifth are distinct).
std::string incoherence(const std::string& reply);

}  // namespace holdfast
