#include "learn/encode.h"

#include <holdfast/error.h>

#include <algorithm>
#include <string_view>

namespace holdfast {
namespace {

// Letters only, so that no template trims, escapes or splits it.
constexpr char kMark[] = "HoldfastContentMarkQZXJ";

struct Content {
  std::size_t begin;
  std::size_t end;
};

bool is_blank(std::string_view text) { return text.find_first_not_of(" \t\r\n") == std::string_view::npos; }

// Rendering a mark in place of a content shows what the template puts before and after it; what then stands between the two is
// what it shows of the content.
Content content_of(const ChatTemplate& chat, Conversation conversation, std::size_t turn, const std::string& rendered) {
  const std::string content = conversation[turn].content;
  conversation[turn].content = kMark;
  const std::string marked = chat.render(conversation, false);
  if (const std::size_t begin = marked.find(kMark); begin != std::string::npos) {
    const std::string before = marked.substr(0, begin), after = marked.substr(begin + sizeof(kMark) - 1);
    if (rendered.size() >= before.size() + after.size() && rendered.starts_with(before) && rendered.ends_with(after)) {
      const std::size_t end = rendered.size() - after.size();
      if (content.find(rendered.substr(begin, end - begin)) != std::string::npos) return {begin, end};
    }
    // A content that brings its own reasoning changes what a Qwen-3 template puts before it.
    if (rendered.ends_with(content + after)) {
      const std::size_t end = rendered.size() - after.size();
      return {end - content.size(), end};
    }
  }
  throw Error("the chat template rewrites the content of turn " + std::to_string(turn + 1) +
              " (an assistant turn), so its tokens cannot be told apart");
}

// A template without a generation prompt leaves the opening of a turn to nobody, and that is no part of a reply.
std::size_t written_from(const ChatTemplate& chat, const Conversation& conversation, std::size_t turn,
                         const std::string& rendered, std::size_t content) {
  const Conversation before(conversation.begin(), conversation.begin() + static_cast<std::ptrdiff_t>(turn));
  if (before.empty()) return content;
  const std::string prompt = chat.render(before, true);
  if (prompt.size() > content || !rendered.starts_with(prompt)) return content;
  const bool joined = is_blank(std::string_view(rendered).substr(prompt.size(), content - prompt.size()));
  return joined || prompt != chat.render(before, false) ? prompt.size() : content;
}

// The first token behind a place that is more than white space.
std::size_t next_token(const std::vector<Token>& tokens, const std::string& rendered, std::size_t place) {
  const auto next = std::find_if(tokens.begin(), tokens.end(), [&](const Token& token) {
    return token.begin >= place && !is_blank(std::string_view(rendered).substr(token.begin, token.end - token.begin));
  });
  return static_cast<std::size_t>(next - tokens.begin());
}

// The first token that shows something of what stands at a place. What a tokenizer inserts has no width and belongs to what
// follows it.
std::size_t token_at(const std::vector<Token>& tokens, std::size_t place) {
  const auto first =
      std::find_if(tokens.begin(), tokens.end(), [&](const Token& token) { return token.end > place || token.begin >= place; });
  return static_cast<std::size_t>(first - tokens.begin());
}

// The place in the rendered chat of the first byte of a turn that is learned.
std::size_t learned_from(const ReplySpan& span, const Message& turn, const std::string& rendered) {
  if (turn.learn_from == 0) return span.written;
  if (turn.learn_from > turn.content.size()) {
    throw Error("turn " + std::to_string(span.turn + 1) + " is to be learned from byte " + std::to_string(turn.learn_from) +
                " of its content, which has " + std::to_string(turn.content.size()));
  }
  // A template may show the content without the white space around it, or without the reasoning before it.
  const std::size_t hidden = turn.content.rfind(rendered.substr(span.begin, span.end - span.begin));
  return std::min(span.end, span.begin + turn.learn_from - std::min(hidden, turn.learn_from));
}

ReplyTokens tokens_of(const ReplySpan& span, const Message& turn, const std::vector<Token>& tokens, const std::string& rendered,
                      const std::vector<std::int64_t>& stop_tokens) {
  const std::size_t first = token_at(tokens, span.written);
  const auto behind = std::find_if(tokens.begin() + static_cast<std::ptrdiff_t>(first), tokens.end(),
                                   [&](const Token& token) { return token.begin >= span.end; });
  ReplyTokens reply{span.turn, first, token_at(tokens, learned_from(span, turn, rendered)),
                    static_cast<std::size_t>(behind - tokens.begin()), 0};
  reply.end = reply.content;
  const std::size_t stop = next_token(tokens, rendered, span.end);
  if (stop < tokens.size() && std::count(stop_tokens.begin(), stop_tokens.end(), tokens[stop].id) > 0) reply.end = stop + 1;
  return reply;
}

std::string without_blanks(const std::string& text) {
  const auto begin = text.find_first_not_of(" \t\r\n");
  return begin == std::string::npos ? "" : text.substr(begin, text.find_last_not_of(" \t\r\n") - begin + 1);
}

}  // namespace

std::vector<ReplySpan> reply_spans(const ChatTemplate& chat, const Conversation& conversation, const std::string& rendered) {
  std::vector<ReplySpan> spans;
  for (std::size_t turn = 0; turn < conversation.size(); ++turn) {
    if (conversation[turn].role != "assistant") continue;
    const auto [begin, end] = content_of(chat, conversation, turn, rendered);
    spans.push_back({turn, written_from(chat, conversation, turn, rendered, begin), begin, end});
  }
  return spans;
}

EncodedReplies encode_replies(const Tokenizer& tokenizer, const ChatTemplate& chat,
                              const std::vector<std::int64_t>& stop_tokens, const Conversation& conversation) {
  const std::string rendered = chat.render(conversation, false);
  const std::vector<Token> tokens = tokenizer.encode(rendered, false);
  EncodedReplies out;
  for (const auto& token : tokens) out.ids.push_back(token.id);
  for (const auto& span : reply_spans(chat, conversation, rendered)) {
    out.replies.push_back(tokens_of(span, conversation[span.turn], tokens, rendered, stop_tokens));
  }
  return out;
}

Encoded encode_chat(const Tokenizer& tokenizer, const ChatTemplate& chat, const std::vector<std::int64_t>& stop_tokens,
                    const Conversation& conversation) {
  EncodedReplies encoded = encode_replies(tokenizer, chat, stop_tokens, conversation);
  Encoded out{std::move(encoded.ids), {}};
  out.label.assign(out.ids.size(), false);
  for (const auto& reply : encoded.replies) {
    if (!conversation[reply.turn].learned) continue;
    for (std::size_t i = std::max<std::size_t>(1, reply.learned); i < reply.end; ++i) out.label[i] = true;
  }
  return out;
}

std::optional<EndOfTurn> end_of_turn(const Tokenizer& tokenizer, const ChatTemplate& chat) {
  const Conversation probe = {{"user", "One."}, {"assistant", "Two"}, {"user", "Three"}, {"assistant", "Four, five."}};
  try {
    const std::string rendered = chat.render(probe, false);
    const std::vector<Token> tokens = tokenizer.encode(rendered, false);
    const auto spans = reply_spans(chat, probe, rendered);
    const std::size_t first = next_token(tokens, rendered, spans.front().end);
    const std::size_t last = next_token(tokens, rendered, spans.back().end);
    EndOfTurn end{std::nullopt, without_blanks(rendered.substr(spans.back().end))};
    if (last == tokens.size()) return end;
    if (tokens[first].id == tokens[last].id && tokenizer.is_added(tokens[last].id)) end.token = tokens[last].id;
    return end;
  } catch (const Error&) {
    return std::nullopt;
  }
}

}  // namespace holdfast
