// The model of a tokenizer: a piece of text to token ids.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "text/definition.h"

namespace holdfast {

/// A token and the byte range of the piece it covers.
struct PieceToken {
  std::int32_t id;
  std::size_t begin;
  std::size_t end;
};

/// The names and ids of a model's own tokens.
class Vocabulary {
 public:
  /// From {"token": id, ...}. Throws Error for ids that are no small non-negative integers or used twice.
  explicit Vocabulary(const Definition& definition);

  std::optional<std::int32_t> id_of(std::string_view token) const;
  /// Null for an id without a token.
  const std::string* token_of(std::int64_t id) const;
  std::int64_t size() const { return static_cast<std::int64_t>(tokens_.size()); }  // one more than the largest id

 private:
  std::vector<std::optional<std::string>> tokens_;
  std::unordered_map<std::string_view, std::int32_t> ids_;  // views into tokens_
};

class TokenModel {
 public:
  virtual ~TokenModel() = default;
  virtual void tokenize(const std::string& piece, std::vector<PieceToken>& out) const = 0;
  virtual const Vocabulary& vocabulary() const = 0;

  /// Throws Error for a type that is not supported.
  static std::unique_ptr<const TokenModel> from_json(const Definition& definition);
};

}  // namespace holdfast
