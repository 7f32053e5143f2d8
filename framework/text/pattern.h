// What normalizers, pre-tokenizers and decoders look for: a literal string or an Oniguruma regular expression.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "text/aligned_text.h"
#include "text/definition.h"

namespace holdfast {

/// A stretch of a text that did or did not match. Stretches cover the text without gaps.
struct Stretch {
  std::size_t begin;
  std::size_t end;
  bool matched;
};

class Pattern {
 public:
  static Pattern literal(std::string text);
  /// Throws Error naming `source` for an expression that Oniguruma refuses.
  static Pattern regex(const std::string& expression, const std::string& source);
  /// {"String": "..."} or {"Regex": "..."}
  static Pattern from_json(const Definition& definition);

  /// All matches from left to right with what lies between them. Throws Error when the search gives up.
  std::vector<Stretch> split(std::string_view text) const;
  /// `text` with each match replaced.
  AlignedText replace(const AlignedText& text, std::string_view by) const;
  std::string replace(const std::string& text, std::string_view by) const;

 private:
  struct Regex;
  Pattern() = default;
  std::vector<Stretch> split_literal(std::string_view text) const;

  std::string literal_;
  std::shared_ptr<const Regex> regex_;  // null for a literal
};

}  // namespace holdfast
