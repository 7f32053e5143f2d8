#include "text/split_behavior.h"

#include <algorithm>

#include "text/characters.h"

namespace holdfast {

namespace {

std::vector<Stretch> merged_with_previous(const std::vector<Stretch>& stretches) {
  std::vector<Stretch> parts;
  bool previous = false;
  for (const Stretch& stretch : stretches) {
    if (stretch.matched && !previous && !parts.empty())
      parts.back().end = stretch.end;
    else
      parts.push_back(stretch);
    previous = stretch.matched;
  }
  return parts;
}

std::vector<Stretch> merged_with_next(const std::vector<Stretch>& stretches) {
  std::vector<Stretch> parts;
  bool previous = false;
  for (auto stretch = stretches.rbegin(); stretch != stretches.rend(); ++stretch) {
    if (stretch->matched && !previous && !parts.empty())
      parts.back().begin = stretch->begin;
    else
      parts.push_back(*stretch);
    previous = stretch->matched;
  }
  std::reverse(parts.begin(), parts.end());
  return parts;
}

std::vector<Stretch> contiguous(const std::vector<Stretch>& stretches) {
  std::vector<Stretch> parts;
  for (const Stretch& stretch : stretches) {
    if (!parts.empty() && parts.back().matched == stretch.matched)
      parts.back().end = stretch.end;
    else
      parts.push_back(stretch);
  }
  return parts;
}

std::vector<Stretch> only_unmatched(std::vector<Stretch> stretches) {
  std::erase_if(stretches, [](const Stretch& stretch) { return stretch.matched; });
  return stretches;
}

std::vector<Stretch> arrange(const std::vector<Stretch>& stretches, SplitBehavior behavior) {
  switch (behavior) {
    case SplitBehavior::removed:
      return only_unmatched(stretches);
    case SplitBehavior::merged_with_previous:
      return merged_with_previous(stretches);
    case SplitBehavior::merged_with_next:
      return merged_with_next(stretches);
    case SplitBehavior::contiguous:
      return contiguous(stretches);
    case SplitBehavior::isolated:
      break;
  }
  return stretches;
}

}  // namespace

SplitBehavior split_behavior(const Definition& definition) {
  const std::string name = definition.string("behavior");
  if (name == "Removed") return SplitBehavior::removed;
  if (name == "Isolated") return SplitBehavior::isolated;
  if (name == "MergedWithPrevious") return SplitBehavior::merged_with_previous;
  if (name == "MergedWithNext") return SplitBehavior::merged_with_next;
  if (name == "Contiguous") return SplitBehavior::contiguous;
  definition.fail("split behavior \"" + name +
                  "\" is not supported; supported: Removed, Isolated, MergedWithPrevious, MergedWithNext, Contiguous");
}

std::vector<Stretch> split_characters(std::string_view text, const std::function<bool(char32_t)>& matches) {
  std::vector<Stretch> stretches;
  std::size_t covered = 0;
  for (std::size_t at = 0; at < text.size();) {
    const Character character = character_at(text, at);
    const std::size_t end = at + character.size;
    if (matches(character.code)) {
      if (covered < at) stretches.push_back({covered, at, false});
      stretches.push_back({at, end, true});
      covered = end;
    }
    at = end;
  }
  if (covered < text.size()) stretches.push_back({covered, text.size(), false});
  return stretches;
}

void append_parts(const AlignedText& piece, const std::vector<Stretch>& stretches, SplitBehavior behavior,
                  std::vector<AlignedText>& out) {
  for (const Stretch& part : arrange(stretches, behavior))
    if (part.begin < part.end) out.push_back(piece.slice(part.begin, part.end));
}

}  // namespace holdfast
