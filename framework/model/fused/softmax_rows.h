// Rows of scores and the shares that a softmax makes of them, in place.
#pragma once

#include <cstdint>

namespace holdfast::fused {

/// A block of scores of consecutive queries: row r is that of position first + r and sees keys from the first in its window to
/// itself.
struct ScoreBlock {
  std::int64_t rows, first, window;
  std::int64_t columns;  // of each row; a multiple of kLanes, beyond the last key that is seen
  float scale;
};

/// Scores become shares; elements that are not seen become zero. logs: log of the sum of e^(scale score), every `to_log`-th.
void share(const ScoreBlock& block, float* scores, float* logs, std::int64_t to_log);
/// The same from logs that are known.
void share_again(const ScoreBlock& block, float* scores, const float* logs, std::int64_t to_log);
/// Slopes at shares become slopes at unscaled scores, scale share (slope - sum of share slope); `along` is that sum.
void slopes_at_scores(const ScoreBlock& block, const float* shares, const float* along, float* slopes);

}  // namespace holdfast::fused
