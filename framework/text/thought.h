// Where a model thinks aloud before it answers.
#pragma once

#include <string>
#include <string_view>

namespace holdfast {

/// A reply parted into what was thought and what was answered.
struct PartedReply {
  std::string answer;       // the reply without its thoughts and their marks; with none of them, the reply itself
  bool unfinished = false;  // the reply ends within a thought: nothing was answered
};

/// Thoughts stand between marks of a known list (<think>, <thinking>, <reasoning>, [THINK], gpt-oss's channels, ...; upper and
/// lower case alike). A mark opens a thought where it begins a line or where its closing mark follows. A closing mark that
/// nothing opened ends a thought that began with the reply, as where the chat template opens it.
PartedReply part_reply(const std::string& reply);

/// Whether a token is such a mark, or a piece of one that stands between angle or square brackets ("<|channel|>").
bool begins_thought_mark(std::string_view token);

/// The opening mark with which a rendered prompt ends and the white space behind it, or nothing.
std::string_view opened_thought(std::string_view prompt);

}  // namespace holdfast
