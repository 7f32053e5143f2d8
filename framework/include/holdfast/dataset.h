// What a model is fine-tuned on and asked.
#pragma once

#include <holdfast/params.h>

#include <map>

namespace HOLDFAST_PUBLIC holdfast {

/// One turn of a chat. Roles: "system", "user", "assistant".
struct Message {
  std::string role;
  std::string content;
  bool learned = true;  ///< of an assistant turn: false for a reply that is context only (weight 0), never a label
  /// Of an assistant turn: the bytes at its beginning that are context, not learned (deep alignment, arXiv 2406.05946). A token
  /// that shows something of what follows them is learned.
  std::size_t learn_from = 0;
  bool operator==(const Message&) const = default;
};

/// Turns in their order.
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

/// Rows in their order.
using Dataset = std::vector<Example>;

/// The settings "data" and "sha256" of an attack that can take a user's own rows. A digest that does not fit the file, a digest
/// without a file, and, where kRequired, a file without a digest are noted as mistakes.
class DatasetFile {
 public:
  enum class Digest { kOptional, kRequired };
  DatasetFile(Params& params, Digest digest);

  bool given() const { return !path_.empty(); }
  /// The rows. Throws Error for a bad row, and when the file is no longer the one that was named.
  Dataset read() const;

 private:
  std::filesystem::path path_;
  std::string digest_;  // of the file when the settings were read
};

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
