// What becomes of the delimiter when text is split.
#pragma once

#include <functional>
#include <string_view>
#include <vector>

#include "text/definition.h"
#include "text/pattern.h"

namespace holdfast {

enum class SplitBehavior { removed, isolated, merged_with_previous, merged_with_next, contiguous };

/// Reads the key "behavior".
SplitBehavior split_behavior(const Definition& definition);

/// Each character that satisfies `matches` is a match of its own; what lies between is one stretch.
std::vector<Stretch> split_characters(std::string_view text, const std::function<bool(char32_t)>& matches);

/// Joins or drops stretches as `behavior` says and appends the non-empty parts to `out`.
void append_parts(const AlignedText& piece, const std::vector<Stretch>& stretches, SplitBehavior behavior,
                  std::vector<AlignedText>& out);

}  // namespace holdfast
