// A system message that a defense gives to rows and prompts which may have one already.
#pragma once

#include <holdfast/dataset.h>
#include <holdfast/params.h>

namespace HOLDFAST_PUBLIC holdfast {

/// What becomes of a system message that stands at the beginning of a conversation already.
enum class ExistingSystem {
  kReplace,  // it goes
  kPrepend,  // it stays behind the new one, in one message, with an empty line between the two
  kKeep,     // it stays, and the new one is not given
};

/// Gives the conversation this system message.
void give_system(Conversation& conversation, const std::string& text, ExistingSystem existing);

/// Takes the system message away, if the conversation begins with one.
void drop_system(Conversation& conversation);

/// The setting "existing" of a defense that gives system messages: "prepend", "replace" or "keep".
ExistingSystem existing_system(Params& params, const std::string& fallback, const std::string& whose);

}  // namespace holdfast
