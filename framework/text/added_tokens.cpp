#include "text/added_tokens.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "text/characters.h"

namespace holdfast {

namespace {

bool word_before(std::string_view text, std::size_t at) {
  return at > 0 && is_word(character_at(text, character_before(text, at)).code);
}

bool word_after(std::string_view text, std::size_t at) { return at < text.size() && is_word(character_at(text, at).code); }

std::size_t skip_space_left(std::string_view text, std::size_t at) {
  while (at > 0 && is_space(character_at(text, character_before(text, at)).code)) at = character_before(text, at);
  return at;
}

std::size_t skip_space_right(std::string_view text, std::size_t at) {
  while (at < text.size() && is_space(character_at(text, at).code)) at += character_at(text, at).size;
  return at;
}

AddedToken read_token(const Definition& definition) {
  AddedToken token;
  token.id = definition.integer("id");
  if (token.id < 0 || token.id > std::numeric_limits<std::int32_t>::max())
    definition.fail("the id " + std::to_string(token.id) + " is not a token id");
  token.content = definition.string("content");
  token.special = definition.boolean("special", false);
  token.single_word = definition.boolean("single_word", false);
  token.lstrip = definition.boolean("lstrip", false);
  token.rstrip = definition.boolean("rstrip", false);
  token.normalized = definition.boolean("normalized", !token.special);
  return token;
}

}  // namespace

AddedTokens::AddedTokens(const std::vector<Definition>& definitions, const Normalizer* normalizer) {
  for (const Definition& definition : definitions) add(read_token(definition), normalizer);
}

void AddedTokens::add(AddedToken token, const Normalizer* normalizer) {
  if (token.content.empty()) return;
  const std::size_t index = tokens_.size();
  by_id_[token.id] = index;
  by_content_[token.content] = index;
  if (token.normalized && normalizer) token.content = normalizer->apply(AlignedText::of(token.content)).text;
  (token.normalized ? normalized_ : raw_).insert(token.content, index);
  size_ = std::max(size_, token.id + 1);
  tokens_.push_back(std::move(token));
}

void AddedTokens::Trie::insert(std::string_view content, std::size_t token) {
  if (content.empty()) return;
  std::size_t node = 0;
  for (const char byte : content) {
    const auto [place, fresh] = nodes[node].next.try_emplace(static_cast<unsigned char>(byte), nodes.size());
    node = place->second;
    if (fresh) nodes.emplace_back();
  }
  nodes[node].token = token;
}

std::optional<AddedTokens::Match> AddedTokens::longest(std::string_view text, std::size_t at, const Trie& trie) const {
  std::optional<Match> best;
  std::size_t node = 0;
  while (at < text.size()) {
    const auto next = trie.nodes[node].next.find(static_cast<unsigned char>(text[at]));
    if (next == trie.nodes[node].next.end()) break;
    node = next->second;
    ++at;
    if (trie.nodes[node].token) best = Match{at, &tokens_[*trie.nodes[node].token]};
  }
  return best;
}

std::vector<AddedStretch> AddedTokens::split(std::string_view text, const Trie& trie) const {
  std::vector<AddedStretch> stretches;
  std::size_t covered = 0;
  for (std::size_t at = 0; at < text.size();) {
    const auto match = longest(text, at, trie);
    if (!match) {
      ++at;
      continue;
    }
    const AddedToken& token = *match->token;
    std::size_t begin = at;
    std::size_t end = match->end;
    at = match->end;
    if (token.single_word && (word_before(text, begin) || word_after(text, end))) continue;
    if (token.lstrip) begin = skip_space_left(text, begin);
    if (token.rstrip) end = skip_space_right(text, end);
    begin = std::max(begin, covered);  // the token before may have taken the white space already
    if (begin >= end) continue;
    if (covered < begin) stretches.push_back({covered, begin, std::nullopt});
    stretches.push_back({begin, end, token.id});
    covered = end;
  }
  if (covered < text.size()) stretches.push_back({covered, text.size(), std::nullopt});
  return stretches;
}

const AddedToken* AddedTokens::find(std::int64_t id) const {
  const auto found = by_id_.find(id);
  return found == by_id_.end() ? nullptr : &tokens_[found->second];
}

const AddedToken* AddedTokens::find(std::string_view content) const {
  const auto found = by_content_.find(std::string(content));
  return found == by_content_.end() ? nullptr : &tokens_[found->second];
}

}  // namespace holdfast
