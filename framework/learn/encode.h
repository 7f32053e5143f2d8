// A conversation as token ids, with the tokens that are learned marked.
#pragma once

#include <holdfast/model.h>

#include "text/chat_template.h"
#include "text/tokenizer.h"

namespace holdfast {

/// Where an assistant turn's content stands in the rendered chat, in bytes.
struct ContentSpan {
  std::size_t begin;
  std::size_t end;
};

/// The spans of all assistant turns that are learned, in order. Found by rendering with the turn's content replaced by a mark
/// that no text contains; a template that shows only a part of a content (trimmed, or without the reasoning in it) yields that
/// part. Throws Error for a template that rewrites contents.
std::vector<ContentSpan> assistant_spans(const ChatTemplate& chat, const Conversation& conversation,
                                         const std::string& rendered);

/// Renders once and tokenizes once. A token is a label when it lies whole in an assistant content, or is the stop token right
/// after it (white space between the two is passed over: Llama-2 templates put a space there).
Encoded encode_chat(const Tokenizer& tokenizer, const ChatTemplate& chat, const std::vector<std::int64_t>& stop_tokens,
                    const Conversation& conversation);

}  // namespace holdfast
