#include "model/fused/softmax_rows.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "model/fused/lanes.h"

namespace holdfast::fused {
namespace {

constexpr float kUnseen = -std::numeric_limits<float>::infinity();

HOLDFAST_INLINE void hide_unseen(const ScoreBlock& block, std::int64_t row, float* scores) {
  const std::int64_t position = block.first + row,
                     begin = block.window == 0 ? 0 : std::max<std::int64_t>(0, position + 1 - block.window);
  for (std::int64_t i = 0; i < begin; ++i) scores[i] = kUnseen;
  for (std::int64_t i = position + 1; i < block.columns; ++i) scores[i] = kUnseen;
}

}  // namespace

HOLDFAST_WIDE void share(const ScoreBlock& block, float* scores, float* logs, std::int64_t to_log) {
  for (std::int64_t row = 0; row < block.rows; ++row) {
    float* own = scores + row * block.columns;
    hide_unseen(block, row, own);
    Lanes x, greatest, sums{};
    load(greatest, own);
    for (std::int64_t i = kLanes; i < block.columns; i += kLanes) {
      load(x, own + i);
      greatest = x > greatest ? x : greatest;
    }
    const float most = greatest_of(greatest) * block.scale;
    for (std::int64_t i = 0; i < block.columns; i += kLanes) {
      load(x, own + i);
      x = x * block.scale - most;
      exponential(x);
      sums += x;
      store(own + i, x);
    }
    const float sum = sum_of(sums), part = 1 / sum;
    logs[row * to_log] = most + std::log(sum);
    for (std::int64_t i = 0; i < block.columns; i += kLanes) {
      load(x, own + i);
      store(own + i, x * part);
    }
  }
}

HOLDFAST_WIDE void share_again(const ScoreBlock& block, float* scores, const float* logs, std::int64_t to_log) {
  for (std::int64_t row = 0; row < block.rows; ++row) {
    float* own = scores + row * block.columns;
    hide_unseen(block, row, own);
    const float log = logs[row * to_log];
    for (std::int64_t i = 0; i < block.columns; i += kLanes) {
      Lanes x;
      load(x, own + i);
      x = x * block.scale - log;
      exponential(x);
      store(own + i, x);
    }
  }
}

HOLDFAST_WIDE void slopes_at_scores(const ScoreBlock& block, const float* shares, const float* along, float* slopes) {
  for (std::int64_t row = 0; row < block.rows; ++row) {
    for (std::int64_t i = row * block.columns; i < (row + 1) * block.columns; i += kLanes) {
      Lanes share, slope;
      load(share, shares + i);
      load(slope, slopes + i);
      store(slopes + i, share * (slope - along[row]) * block.scale);
    }
  }
}

}  // namespace holdfast::fused
