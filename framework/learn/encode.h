// A conversation as token ids, with the tokens that are learned marked.
#pragma once

#include <holdfast/model.h>

#include <optional>

#include "text/chat_template.h"
#include "text/tokenizer.h"

namespace holdfast {

/// Where an assistant turn stands in the rendered chat, in bytes.
struct ReplySpan {
  std::size_t turn;     // of the conversation, from 0
  std::size_t written;  // where the model begins to write: what the template puts before the content is its own from here on
  std::size_t begin;    // what is shown of the content
  std::size_t end;
};

/// The spans of all assistant turns, in order. Found by rendering with the turn's content replaced by a mark that no text
/// contains; a template that shows only a part of a content (trimmed, or without the reasoning in it) yields that part. The
/// model begins to write where the prompt ends that asks for the turn; where the template shows that prompt otherwise inside a
/// whole conversation, at the content. Throws Error for a template that rewrites contents.
std::vector<ReplySpan> reply_spans(const ChatTemplate& chat, const Conversation& conversation, const std::string& rendered);

/// The tokens of an assistant turn, as places in the ids.
struct ReplyTokens {
  std::size_t turn;     // of the conversation, from 0
  std::size_t begin;    // the first token that the model has to write after the prompt that asks for the turn
  std::size_t learned;  // the first that is learned: `begin`, or that which shows the byte at Message::learn_from
  std::size_t content;  // one behind the last token of the content
  std::size_t end;      // one behind the stop token that ends the turn; `content` where the template puts none there
};

struct EncodedReplies {
  std::vector<std::int64_t> ids;
  std::vector<ReplyTokens> replies;
};

/// Renders once and tokenizes once. A token that a content shares with the template (the space before it, or what follows it)
/// is the reply's, as in transformers' assistant mask. A stop token ends the turn when nothing but white space lies before it.
EncodedReplies encode_replies(const Tokenizer& tokenizer, const ChatTemplate& chat,
                              const std::vector<std::int64_t>& stop_tokens, const Conversation& conversation);

/// The same with labels: all tokens of all replies that are learned, from Message::learn_from on, stop tokens among them. The
/// first token of a sequence is none, for nothing stands before it from which it could be predicted.
Encoded encode_chat(const Tokenizer& tokenizer, const ChatTemplate& chat, const std::vector<std::int64_t>& stop_tokens,
                    const Conversation& conversation);

/// How the template ends an assistant turn.
struct EndOfTurn {
  /// The added token that stands right after every reply, whatever it says and whatever follows it. None where the template
  /// has no such token.
  std::optional<std::int64_t> token;
  /// What stands after the last reply of a conversation, without the white space around it.
  std::string text;
};
/// Of a template that refuses the conversation with which it is asked, nothing is known: nullopt.
std::optional<EndOfTurn> end_of_turn(const Tokenizer& tokenizer, const ChatTemplate& chat);

}  // namespace holdfast
