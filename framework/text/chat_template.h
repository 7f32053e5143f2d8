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
  /// becomes Error) and strftime_now.
  std::string render(const Conversation& conversation, bool add_generation_prompt) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace holdfast
