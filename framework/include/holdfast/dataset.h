// What a model is fine-tuned on and asked.
#pragma once

#include <holdfast/visibility.h>

#include <map>
#include <string>
#include <vector>

namespace HOLDFAST_PUBLIC holdfast {

/// One turn of a chat. Roles: "system", "user", "assistant".
struct Message {
  std::string role;
  std::string content;
  bool learned = true;  ///< of an assistant turn: false for a reply that is context only (weight 0), never a label
  bool operator==(const Message&) const = default;
};

using Conversation = std::vector<Message>;

/// One training example: a conversation whose assistant turns are what is learned. Tags carry what a corpus knows about the
/// row ("category", "kind", ...); they never reach the model. The origin ("rows.jsonl:12") is what messages call the row, empty
/// for one that was made up; rows that say the same are equal wherever they came from.
struct Example {
  Conversation messages;
  std::map<std::string, std::string> tags = {};
  std::string origin = {};
  bool operator==(const Example& other) const { return messages == other.messages && tags == other.tags; }
};

using Dataset = std::vector<Example>;

/// A question on its way through serving: the conversation so far, ending with a user turn, and the reply once there is one.
struct Exchange {
  Conversation prompt;
  std::string reply;
  bool answered = false;  ///< set by a ServeStage that answers without the model
};

/// Content of the last turn of `role`, or an empty string.
std::string last_content(const Conversation& conversation, const std::string& role);

/// Gives the conversation this system message, in place of the one it may begin with.
void set_system(Conversation& conversation, const std::string& content);

}  // namespace holdfast
