// Whether a reply says anything at all.
#pragma once

#include <holdfast/judge.h>

#include <string>

namespace holdfast {

/// Why the reply's answer (text/thought.h) is incoherent, or an empty string when it is not: "unfinished thought" (the reply
/// ends before an answer), "empty" (no letter and no digit), "repeated word" (the same word more than three times in a row),
/// "repeated letter" (more than fifteen in a row), "repeated text" (at least forty words of which fewer than a fifth are
/// distinct). Words are those of words_of, in any script.
std::string incoherence(const std::string& reply);

/// The reply with what follows from its text: its answer, whether a thought is unfinished, why it says nothing.
JudgedReply read_reply(JudgedReply judged);

}  // namespace holdfast
