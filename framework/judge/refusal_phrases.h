// Our own list of refusal phrases, and where a refusal stands.
#pragma once

#include <string>
#include <vector>

namespace holdfast {

/// In lower case, with plain apostrophes; each is matched as whole words.
const std::vector<std::string>& refusal_phrases();

/// Where a refusal stands: the first sentence of the reply's answer (text/thought.h), and the following ones as long as what
/// came before is shorter than 40 characters ("I'm sorry. I can't help with that."), at most 200 characters, in plain text
/// (judge/words.h). What comes before the first letter or digit is left out: white space, quotation marks, Markdown, bullets.
std::string opening_of(const std::string& reply);

/// The first phrase that stands in the reply's opening as whole words, or an empty string; a phrase in a script without spaces
/// may stand anywhere in it. Turns of speech that only look like a refusal ("I can't wait", "I cannot stress enough") do not
/// count.
std::string opening_phrase(const std::string& reply, const std::vector<std::string>& phrases, bool case_sensitive);

}  // namespace holdfast
