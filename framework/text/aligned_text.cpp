#include "text/aligned_text.h"

#include "text/characters.h"

namespace holdfast {

AlignedText AlignedText::of(std::string_view input) {
  AlignedText result;
  result.text.reserve(input.size());
  result.origin.reserve(input.size());
  for (std::size_t at = 0; at < input.size();) {
    std::size_t skip = 0;
    const std::size_t size = valid_size(input, at, skip);
    if (size == 0) {
      result.append(kReplacementCharacter, {at, at + skip});
      at += skip;
      continue;
    }
    result.text.append(input, at, size);
    for (const std::size_t end = at + size; at < end; ++at) result.origin.push_back({at, at + 1});
  }
  return result;
}

AlignedText AlignedText::slice(std::size_t begin, std::size_t end) const {
  const auto first = origin.begin();
  return {text.substr(begin, end - begin),
          {first + static_cast<std::ptrdiff_t>(begin), first + static_cast<std::ptrdiff_t>(end)}};
}

ByteSpan AlignedText::origin_of(std::size_t begin, std::size_t end) const {
  if (begin == end) {
    const std::size_t at = begin < origin.size() ? origin[begin].begin : origin.empty() ? 0 : origin.back().end;
    return {at, at};
  }
  return {origin[begin].begin, origin[end - 1].end};
}

void AlignedText::append(std::string_view bytes, ByteSpan from) {
  text.append(bytes);
  origin.insert(origin.end(), bytes.size(), from);
}

void AlignedText::append(const AlignedText& other, std::size_t begin, std::size_t end) {
  text.append(other.text, begin, end - begin);
  const auto first = other.origin.begin();
  origin.insert(origin.end(), first + static_cast<std::ptrdiff_t>(begin), first + static_cast<std::ptrdiff_t>(end));
}

void AlignedText::prepend(std::string_view bytes) {
  const std::size_t at = origin.empty() ? 0 : origin.front().begin;
  text.insert(0, bytes);
  origin.insert(origin.begin(), bytes.size(), ByteSpan{at, at});
}

}  // namespace holdfast
