// Text on its way through a tokenizer that remembers which bytes of the input each of its bytes came from.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace holdfast {

/// A half-open byte range.
struct ByteSpan {
  std::size_t begin;
  std::size_t end;
};

/// Valid UTF-8 with one span of the input for each byte. What was inserted has an empty span where it stands.
struct AlignedText {
  std::string text;
  std::vector<ByteSpan> origin;

  /// The input itself; invalid bytes become U+FFFD.
  static AlignedText of(std::string_view input);

  bool empty() const { return text.empty(); }
  AlignedText slice(std::size_t begin, std::size_t end) const;
  /// The span of the input that the bytes [begin, end) came from.
  ByteSpan origin_of(std::size_t begin, std::size_t end) const;

  /// Appends bytes that all came from `from`.
  void append(std::string_view bytes, ByteSpan from);
  /// Appends the bytes [begin, end) of `other` with their origins.
  void append(const AlignedText& other, std::size_t begin, std::size_t end);
  void prepend(std::string_view bytes);
};

}  // namespace holdfast
