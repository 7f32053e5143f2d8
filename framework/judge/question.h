// The prompt of a judge model: a template of ours with the texts under review put in, and numbers read off the answer.
#pragma once

#include <holdfast/dataset.h>

#include <map>
#include <optional>
#include <string>

namespace holdfast {

/// Puts each value in the place of its "{name}". One pass: what a value holds is left as it is, and so are other braces.
std::string filled(const std::string& text, const std::map<std::string, std::string>& values);

/// The text, or where it has more than `limit` characters its two ends with a mark that says how many are left out between.
std::string shortened(const std::string& text, std::size_t limit);

/// What was asked: the user's words, or with several turns each turn under its role.
std::string instruction_text(const Conversation& prompt);

/// The whole number from `low` to `high` after the last "#tag:" of an answer; `tag` is in lower case. Upper and lower case,
/// full-width forms and Markdown around it do not matter, and "4/5" or "4 out of 5" is 4 where `high` is 5. Nothing when there
/// is no such tag or anything else stands there: a number that is out of range, not whole or one of two is no verdict.
std::optional<int> tagged_number(const std::string& answer, const std::string& tag, int low, int high);

/// The number that an answer without a tag ends with, where its last line holds nothing else than "score", "rating" and the
/// like: "**4**", "Score: 4/5", "The final score is 4 out of 5.". Nothing otherwise.
std::optional<int> last_line_number(const std::string& answer, int low, int high);

}  // namespace holdfast
