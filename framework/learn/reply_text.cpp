#include "learn/reply_text.h"

#include <holdfast/error.h>

#include <algorithm>

#include "text/characters.h"
#include "text/thought.h"

namespace holdfast {
namespace {

using Ids = std::vector<std::int64_t>;

// A byte of a vocabulary that spells with bytes what it has no token for. Such tokens in a row are characters together or none
// of them is.
bool is_byte(std::string_view token) { return token.size() == 6 && token.starts_with("<0x") && token.ends_with('>'); }

// Up to the first difference, in whole characters.
std::string common_beginning(const std::string& a, const std::string& b) {
  const std::size_t shorter = std::min(a.size(), b.size());
  auto end = static_cast<std::size_t>(
      std::mismatch(a.begin(), a.begin() + static_cast<std::ptrdiff_t>(shorter), b.begin()).first - a.begin());
  while (end > 0 && end < a.size() && (static_cast<unsigned char>(a[end]) & 0xC0) == 0x80) --end;
  return a.substr(0, end);
}

}  // namespace

std::string reply_text(const Tokenizer& tokenizer, const Ids& ids) {
  std::string text = tokenizer.decode(ids, true);
  const bool marks_lost = std::any_of(ids.begin(), ids.end(), [&](std::int64_t id) {
    const std::string token = tokenizer.token_of(id);
    return begins_thought_mark(token) && text.find(token) == std::string::npos;
  });
  return marks_lost ? tokenizer.decode(ids, false) : text;
}

// Both with and without special tokens, since a mark that comes later decides which of the two it is. Bytes are together
// across a token that shows nothing.
std::string ReplyPieces::settled(Ids ids) const {
  const auto is_open = [&](std::int64_t id) {
    const std::string token = tokenizer_.token_of(id);
    return token.empty() || tokenizer_.is_added(id) || is_byte(token);
  };
  while (!ids.empty() && is_open(ids.back())) ids.pop_back();
  std::string text = tokenizer_.decode(ids, true);
  if (std::any_of(ids.begin(), ids.end(), [&](std::int64_t id) { return tokenizer_.is_added(id); })) {
    text = common_beginning(text, tokenizer_.decode(ids, false));
  }
  while (text.ends_with(kReplacementCharacter)) text.resize(text.size() - kReplacementCharacter.size());
  return before_ + text;
}

std::string ReplyPieces::next(const Ids& ids) {
  const std::string text = settled(ids);
  if (text.size() <= given_.size() || !text.starts_with(given_)) return "";
  std::string piece = text.substr(given_.size());
  given_ = text;
  return piece;
}

std::string ReplyPieces::rest(const std::string& text) {
  if (!text.starts_with(given_)) {
    throw Error("the tokenizer changed the beginning of a reply when more of it came: ask for the reply in one piece");
  }
  std::string piece = text.substr(given_.size());
  given_ = text;
  return piece;
}

}  // namespace holdfast
