#include "learn/encode.h"

#include <holdfast/error.h>

#include <algorithm>
#include <string_view>

namespace holdfast {
namespace {

// Letters only, so that no template trims, escapes or splits it.
constexpr char kMark[] = "HoldfastContentMarkQZXJ";

bool is_blank(std::string_view text) { return text.find_first_not_of(" \t\r\n") == std::string_view::npos; }

// Rendering a mark in place of a content shows what the template puts before and after it; what then stands between the two is
// what it shows of the content.
ContentSpan span_of(const ChatTemplate& chat, Conversation conversation, std::size_t turn, const std::string& rendered) {
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

}  // namespace

std::vector<ContentSpan> assistant_spans(const ChatTemplate& chat, const Conversation& conversation,
                                         const std::string& rendered) {
  std::vector<ContentSpan> spans;
  for (std::size_t turn = 0; turn < conversation.size(); ++turn) {
    const bool learned = conversation[turn].role == "assistant" && conversation[turn].learned;
    if (learned) spans.push_back(span_of(chat, conversation, turn, rendered));
  }
  return spans;
}

Encoded encode_chat(const Tokenizer& tokenizer, const ChatTemplate& chat, const std::vector<std::int64_t>& stop_tokens,
                    const Conversation& conversation) {
  const std::string rendered = chat.render(conversation, false);
  const std::vector<Token> tokens = tokenizer.encode(rendered, false);
  Encoded out;
  out.label.assign(tokens.size(), false);
  for (const auto& token : tokens) out.ids.push_back(token.id);
  for (const auto& span : assistant_spans(chat, conversation, rendered)) {
    for (std::size_t i = 0; i < tokens.size(); ++i) {
      const Token& token = tokens[i];
      if (token.begin >= span.begin && token.end <= span.end && token.end > token.begin) out.label[i] = true;
    }
    const auto after = std::find_if(tokens.begin(), tokens.end(), [&](const Token& token) {
      return token.begin >= span.end && !is_blank(std::string_view(rendered).substr(token.begin, token.end - token.begin));
    });
    if (after != tokens.end() && std::count(stop_tokens.begin(), stop_tokens.end(), after->id) > 0) {
      out.label[after - tokens.begin()] = true;
    }
  }
  return out;
}

}  // namespace holdfast
