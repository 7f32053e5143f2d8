// Our own list of refusal phrases, and where a refusal stands.
#pragma once

#include <string>
#include <vector>

namespace holdfast {

/// In lower case, with plain apostrophes; each is matched as whole words.
const std::vector<std::string>& refusal_phrases();

/// Where a refusal stands: the reply's first sentence, and the following ones as long as what came before is shorter than 40
/// characters ("I'm sorry. I can't help with that."), at most 200 characters. Leading white space, quotation marks and Markdown
/// are left out, typographic apostrophes are made plain.
std::string opening_of(const std::string& reply);

/// The first phrase that stands in the reply's opening as whole words, or an empty string. Turns of speech that only look like
/// a refusal ("I can't wait", "I cannot stress enough") do not count.
std::string opening_phrase(const std::string& reply, const std::vector<std::string>& phrases, bool case_sensitive);

}  // namespace holdfast
