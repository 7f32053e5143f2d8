// Tokens that are recognised in the text itself, before anything else looks at it.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "text/definition.h"
#include "text/normalizer.h"

namespace holdfast {

struct AddedToken {
  std::int64_t id;
  std::string content;  // in its normalized form when `normalized`: HF decodes it so
  bool single_word;     // only where no word character is beside it
  bool lstrip;          // takes the white space before it
  bool rstrip;          // takes the white space after it
  bool normalized;      // looked for in the normalized text
  bool special;
};

/// A stretch of text that is an added token, or that is not.
struct AddedStretch {
  std::size_t begin;
  std::size_t end;
  std::optional<std::int64_t> id;
};

class AddedTokens {
 public:
  AddedTokens() = default;
  /// `normalizer` may be null.
  AddedTokens(const std::vector<Definition>& definitions, const Normalizer* normalizer);

  /// Tokens with `normalized` off, in the text as it came.
  std::vector<AddedStretch> split_raw(std::string_view text) const { return split(text, raw_); }
  /// The other tokens, in the normalized text.
  std::vector<AddedStretch> split_normalized(std::string_view text) const { return split(text, normalized_); }

  const AddedToken* find(std::int64_t id) const;
  const AddedToken* find(std::string_view content) const;
  std::int64_t size() const { return size_; }  // one more than the largest id

 private:
  // A trie over bytes, kept in one vector; node 0 is the root.
  struct Node {
    std::map<unsigned char, std::size_t> next;
    std::optional<std::size_t> token;  // index into tokens_
  };
  struct Trie {
    std::vector<Node> nodes = std::vector<Node>(1);
    void insert(std::string_view content, std::size_t token);
  };
  struct Match {
    std::size_t end;
    const AddedToken* token;
  };

  void add(AddedToken token, const Normalizer* normalizer);
  std::optional<Match> longest(std::string_view text, std::size_t at, const Trie& trie) const;
  std::vector<AddedStretch> split(std::string_view text, const Trie& trie) const;

  std::vector<AddedToken> tokens_;
  std::unordered_map<std::int64_t, std::size_t> by_id_;
  std::unordered_map<std::string, std::size_t> by_content_;
  std::int64_t size_ = 0;
  Trie raw_;
  Trie normalized_;
};

}  // namespace holdfast
