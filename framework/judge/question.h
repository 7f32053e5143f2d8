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

/// The whole number from `low` to `high` after the last "#tag:" of an answer; `tag` is in lower case. Upper and lower case and
/// Markdown around it do not matter, and "4/5" is 4 where `high` is 5. Nothing when there is no such tag or anything else
/// stands there: a number that is out of range or not whole is no verdict.
std::optional<int> tagged_number(const std::string& answer, const std::string& tag, int low, int high);

}  // namespace holdfast
