// A reply's tokens as text, whole or while they come.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "text/tokenizer.h"

namespace holdfast {

/// Without special tokens, but with all of them where one is the mark of a thought that the text would lack: thought and answer
/// could not be told apart.
std::string reply_text(const Tokenizer& tokenizer, const std::vector<std::int64_t>& ids);

/// A reply in pieces of whole characters, which together are its text. What later tokens may still change is held back: a
/// character of which bytes are missing, bytes that stand as tokens of their own, and what follows a special token. Each piece
/// decodes all tokens anew.
class ReplyPieces {
 public:
  /// `before`: what the text has in front of the tokens' own.
  explicit ReplyPieces(const Tokenizer& tokenizer, std::string before = "")
      : tokenizer_(tokenizer), before_(std::move(before)) {}

  /// What these tokens settle of the text and no earlier piece had; maybe nothing.
  std::string next(const std::vector<std::int64_t>& ids);
  /// What is left of the whole text. Throws Error where it does not begin with what was given out.
  std::string rest(const std::string& text);

 private:
  std::string settled(std::vector<std::int64_t> ids) const;

  const Tokenizer& tokenizer_;
  std::string before_, given_;
};

}  // namespace holdfast
