// Byte-pair encoding, byte-level or with byte fallback.
#pragma once

#include <array>
#include <shared_mutex>

#include "text/token_model.h"

namespace holdfast {

class Bpe final : public TokenModel {
 public:
  explicit Bpe(const Definition& definition);
  void tokenize(const std::string& piece, std::vector<PieceToken>& out) const override;
  const Vocabulary& vocabulary() const override { return vocabulary_; }

 private:
  struct Merge {
    std::int32_t rank;
    std::int32_t id;
  };
  struct Symbol;
  using Symbols = std::vector<Symbol>;

  void read_merges(const Definition& definition);
  void add_merge(const std::string& left, const std::string& right, std::int32_t rank, const Definition& definition);
  const Merge* merge_of(std::int32_t left, std::int32_t right) const;

  std::vector<PieceToken> encode(const std::string& piece) const;
  Symbols initial_symbols(const std::string& piece) const;
  bool append_bytes(const std::string& piece, std::size_t begin, std::size_t end, Symbols& symbols) const;
  void merge_all(Symbols& symbols) const;

  Vocabulary vocabulary_;
  std::unordered_map<std::uint64_t, Merge> merges_;  // by left id << 32 | right id
  std::optional<std::int32_t> unknown_;
  bool fuse_unknown_;
  bool ignore_merges_;
  bool byte_fallback_;
  std::string prefix_;  // of every character of a piece but the first
  std::string suffix_;  // of a piece's last character
  std::array<std::optional<std::int32_t>, 256> byte_ids_;

  mutable std::shared_mutex cache_mutex_;
  mutable std::unordered_map<std::string, std::vector<PieceToken>> cache_;
};

}  // namespace holdfast
