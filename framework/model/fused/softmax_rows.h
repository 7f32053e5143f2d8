// Rows of scores and the shares that a softmax makes of them, in place.
#pragma once

#include <cstdint>

namespace holdfast::fused {

/// A block of scores of consecutive queries: row r is that of position first + r and sees keys from the first in its window to
/// itself.
struct ScoreBlock {
  std::int64_t rows, first, window;
  std::int64_t columns;  // of each row; a multiple of kLanes, beyond the last key that is seen
  float scale, cap;      // what counts is s = scale score, or, with a cap, cap tanh(s / cap); 0: none
};

/// Scores become shares; elements that are not seen become zero. logs: log of the sum of e^s, every `to_log`-th.
void share(const ScoreBlock& block, float* scores, float* logs, std::int64_t to_log);
/// The same from logs that are known. bends: with a cap, its derivative at each score.
void share_again(const ScoreBlock& block, float* scores, const float* logs, std::int64_t to_log, float* bends);
/// Slopes at shares become slopes at unscaled scores, scale share (slope - sum of share slope), with a cap times its
/// derivative; `along` is that sum.
void slopes_at_scores(const ScoreBlock& block, const float* shares, const float* along, const float* bends, float* slopes);

}  // namespace holdfast::fused
