// Chats rendered by the checkpoint's own Jinja template.
#pragma once

#include <holdfast/dataset.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

namespace holdfast {

class ChatTemplate {
 public:
  /// `special` holds what templates refer to: "bos_token", "eos_token", ... Throws Error naming `source` for a template that
  /// does not parse.
  ChatTemplate(const std::string& source_text, std::map<std::string, std::string> special, const std::string& source);
  ~ChatTemplate();

  /// Equal to transformers' apply_chat_template(tokenize=False), including trim_blocks, lstrip_blocks, raise_exception (which
  /// becomes Error) and strftime_now. Where the template takes no system turn, the text of one stands before that of the first
  /// user turn, with an empty line between the two (as Gemma 3's template puts it).
  std::string render(const Conversation& conversation, bool add_generation_prompt) const;

  /// Why a system turn before a user turn cannot be given to the template: the words with which it refuses one, or that it
  /// leaves its text out. Empty for a template that takes it.
  const std::string& refuses_system() const;

  /// The file that the template came from.
  const std::string& source() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace holdfast
