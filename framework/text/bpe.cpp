#include "text/bpe.h"

#include <mutex>
#include <queue>
#include <tuple>

#include "text/characters.h"

namespace holdfast {

namespace {

constexpr std::size_t kCachedPieces = 1 << 16;
constexpr std::size_t kCachedSize = 64;  // longer pieces hardly come twice

std::uint64_t pair_key(std::int32_t left, std::int32_t right) {
  return static_cast<std::uint64_t>(static_cast<std::uint32_t>(left)) << 32 | static_cast<std::uint32_t>(right);
}

std::string byte_token(int byte) {
  constexpr char kDigits[] = "0123456789ABCDEF";
  return std::string("<0x") + kDigits[byte >> 4] + kDigits[byte & 15] + ">";
}

}  // namespace

// A doubly linked list in a vector; a merged-away symbol has no width and the id -1.
struct Bpe::Symbol {
  std::int32_t id;
  std::size_t begin;
  std::size_t end;
  std::ptrdiff_t previous;
  std::ptrdiff_t next;
};

Bpe::Bpe(const Definition& definition)
    : vocabulary_(definition.at("vocab")),
      fuse_unknown_(definition.boolean("fuse_unk", false)),
      ignore_merges_(definition.boolean("ignore_merges", false)),
      byte_fallback_(definition.boolean("byte_fallback", false)),
      prefix_(definition.string("continuing_subword_prefix", "")),
      suffix_(definition.string("end_of_word_suffix", "")) {
  if (definition.has("dropout") && definition.at("dropout").json() != 0.0)
    definition.fail("\"dropout\" is not supported; expected null");
  if (definition.has("unk_token")) {
    const std::string name = definition.string("unk_token");
    unknown_ = vocabulary_.id_of(name);
    if (!unknown_) definition.fail("the unknown token \"" + name + "\" is not in the vocabulary");
  }
  for (int byte = 0; byte < 256; ++byte) byte_ids_[static_cast<std::size_t>(byte)] = vocabulary_.id_of(byte_token(byte));
  read_merges(definition);
}

void Bpe::read_merges(const Definition& definition) {
  const Json& list = definition.at("merges").json();
  if (!list.is_array()) definition.fail(std::string("\"merges\": expected an array, found ") + list.type_name());
  merges_.reserve(list.size());
  std::int32_t rank = 0;
  for (const Json& merge : list) {
    if (merge.is_array() && merge.size() == 2 && merge[0].is_string() && merge[1].is_string()) {
      add_merge(merge[0].get<std::string>(), merge[1].get<std::string>(), rank, definition);
    } else {
      const std::string text = merge.is_string() ? merge.get<std::string>() : "";
      const std::size_t space = text.find(' ');
      if (space == std::string::npos || text.find(' ', space + 1) != std::string::npos)
        definition.fail("merges[" + std::to_string(rank) + "]: expected two tokens as \"left right\" or [\"left\", \"right\"]");
      add_merge(text.substr(0, space), text.substr(space + 1), rank, definition);
    }
    ++rank;
  }
}

void Bpe::add_merge(const std::string& left, const std::string& right, std::int32_t rank, const Definition& definition) {
  const std::size_t cut = right.starts_with(prefix_) ? prefix_.size() : 0;
  const auto left_id = vocabulary_.id_of(left);
  const auto right_id = vocabulary_.id_of(right);
  const auto merged_id = vocabulary_.id_of(left + right.substr(cut));
  if (!left_id || !right_id || !merged_id)
    definition.fail("merges[" + std::to_string(rank) + "]: \"" +
                    (!left_id    ? left
                     : !right_id ? right
                                 : left + right.substr(cut)) +
                    "\" is not in the vocabulary");
  merges_[pair_key(*left_id, *right_id)] = {rank, *merged_id};
}

const Bpe::Merge* Bpe::merge_of(std::int32_t left, std::int32_t right) const {
  const auto found = merges_.find(pair_key(left, right));
  return found == merges_.end() ? nullptr : &found->second;
}

void Bpe::tokenize(const std::string& piece, std::vector<PieceToken>& out) const {
  if (piece.size() > kCachedSize) {
    const std::vector<PieceToken> tokens = encode(piece);
    out.insert(out.end(), tokens.begin(), tokens.end());
    return;
  }
  {
    const std::shared_lock lock(cache_mutex_);
    if (const auto found = cache_.find(piece); found != cache_.end()) {
      out.insert(out.end(), found->second.begin(), found->second.end());
      return;
    }
  }
  std::vector<PieceToken> tokens = encode(piece);
  out.insert(out.end(), tokens.begin(), tokens.end());
  const std::unique_lock lock(cache_mutex_);
  if (cache_.size() < kCachedPieces) cache_.emplace(piece, std::move(tokens));
}

std::vector<PieceToken> Bpe::encode(const std::string& piece) const {
  if (ignore_merges_)
    if (const auto id = vocabulary_.id_of(piece)) return {{*id, 0, piece.size()}};
  Symbols symbols = initial_symbols(piece);
  merge_all(symbols);
  std::vector<PieceToken> tokens;
  for (const Symbol& symbol : symbols)
    if (symbol.id >= 0) tokens.push_back({symbol.id, symbol.begin, symbol.end});
  return tokens;
}

Bpe::Symbols Bpe::initial_symbols(const std::string& piece) const {
  Symbols symbols;
  bool after_unknown = false;
  for (std::size_t begin = 0; begin < piece.size();) {
    const std::size_t end = begin + character_at(piece, begin).size;
    std::string name = piece.substr(begin, end - begin);
    if (begin > 0) name.insert(0, prefix_);
    if (end == piece.size()) name += suffix_;
    const auto id = vocabulary_.id_of(name);
    if (id) {
      symbols.push_back({*id, begin, end, 0, 0});
    } else if (!byte_fallback_ || !append_bytes(piece, begin, end, symbols)) {
      if (after_unknown && fuse_unknown_)
        symbols.back().end = end;
      else if (unknown_)
        symbols.push_back({*unknown_, begin, end, 0, 0});
      after_unknown = unknown_.has_value();
      begin = end;
      continue;
    }
    after_unknown = false;
    begin = end;
  }
  const auto count = static_cast<std::ptrdiff_t>(symbols.size());
  for (std::ptrdiff_t i = 0; i < count; ++i) {
    symbols[static_cast<std::size_t>(i)].previous = i - 1;
    symbols[static_cast<std::size_t>(i)].next = i + 1 < count ? i + 1 : -1;
  }
  return symbols;
}

bool Bpe::append_bytes(const std::string& piece, std::size_t begin, std::size_t end, Symbols& symbols) const {
  const auto id_at = [&](std::size_t at) { return byte_ids_[static_cast<unsigned char>(piece[at])]; };
  for (std::size_t at = begin; at < end; ++at)
    if (!id_at(at)) return false;
  for (std::size_t at = begin; at < end; ++at) symbols.push_back({*id_at(at), at, at + 1, 0, 0});
  return true;
}

// Lowest rank first, then leftmost. A candidate in the heap is stale when its pair has changed since.
void Bpe::merge_all(Symbols& symbols) const {
  using Candidate = std::tuple<std::int32_t, std::size_t, std::int32_t>;  // rank, position of the left symbol, merged id
  std::priority_queue<Candidate, std::vector<Candidate>, std::greater<>> heap;
  const auto offer = [&](std::ptrdiff_t left) {
    if (left < 0 || symbols[static_cast<std::size_t>(left)].next < 0) return;
    const Symbol& symbol = symbols[static_cast<std::size_t>(left)];
    if (const Merge* merge = merge_of(symbol.id, symbols[static_cast<std::size_t>(symbol.next)].id))
      heap.emplace(merge->rank, static_cast<std::size_t>(left), merge->id);
  };
  for (std::size_t i = 0; i < symbols.size(); ++i) offer(static_cast<std::ptrdiff_t>(i));
  while (!heap.empty()) {
    const auto [rank, at, id] = heap.top();
    heap.pop();
    Symbol& left = symbols[at];
    if (left.id < 0 || left.next < 0) continue;
    Symbol& right = symbols[static_cast<std::size_t>(left.next)];
    const Merge* merge = merge_of(left.id, right.id);
    if (!merge || merge->rank != rank || merge->id != id) continue;
    left.id = id;
    left.end = right.end;
    left.next = right.next;
    right.id = -1;
    if (left.next >= 0) symbols[static_cast<std::size_t>(left.next)].previous = static_cast<std::ptrdiff_t>(at);
    offer(left.previous);
    offer(static_cast<std::ptrdiff_t>(at));
  }
}

}  // namespace holdfast
