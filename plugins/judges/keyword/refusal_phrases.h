// Our own list of refusal phrases, and whether one stands where a refusal does.
#pragma once

#include <string>
#include <vector>

/// In lower case, with plain apostrophes; each is matched as whole words.
const std::vector<std::string>& refusal_phrases();

/// The first phrase that stands in the answer's opening as whole words, or an empty string; a phrase in a script without spaces
/// may stand anywhere in it. Turns of speech that only look like a refusal ("I can't wait", "I cannot stress enough") do not
/// count.
std::string opening_phrase(const std::string& answer, const std::vector<std::string>& phrases, bool case_sensitive);
