#include "model/fused/softmax_rows.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "model/fused/lanes.h"

namespace holdfast::fused {
namespace {

constexpr float kUnseen = -std::numeric_limits<float>::infinity();

HOLDFAST_INLINE void set_unseen(const ScoreBlock& block, std::int64_t row, float value, float* scores) {
  const std::int64_t position = block.first + row,
                     begin = block.window == 0 ? 0 : std::max<std::int64_t>(0, position + 1 - block.window);
  for (std::int64_t i = 0; i < begin; ++i) scores[i] = value;
  for (std::int64_t i = position + 1; i < block.columns; ++i) scores[i] = value;
}

// s / cap becomes its tanh, which is (1 - e) / (1 + e) of e = e^(-2 |s / cap|).
HOLDFAST_INLINE void hyperbolic(Lanes& x) {
  Lanes e = (x < 0.0F ? x : -x) * 2.0F;
  exponential(e);
  const Lanes size = (1.0F - e) / (1.0F + e);
  x = x < 0.0F ? -size : size;
}

// What counts of the scores, but for those that are not seen.
HOLDFAST_INLINE void count_scores(const ScoreBlock& block, Lanes& x) {
  x *= block.scale;
  if (block.cap == 0) return;
  x *= 1 / block.cap;
  hyperbolic(x);
  x *= block.cap;
}

}  // namespace

HOLDFAST_WIDE void share(const ScoreBlock& block, float* scores, float* logs, std::int64_t to_log) {
  for (std::int64_t row = 0; row < block.rows; ++row) {
    float* own = scores + row * block.columns;
    Lanes x, greatest, sums{};
    for (std::int64_t i = 0; i < block.columns; i += kLanes) {
      load(x, own + i);
      count_scores(block, x);
      store(own + i, x);
    }
    set_unseen(block, row, kUnseen, own);
    load(greatest, own);
    for (std::int64_t i = kLanes; i < block.columns; i += kLanes) {
      load(x, own + i);
      greatest = x > greatest ? x : greatest;
    }
    const float most = greatest_of(greatest);
    for (std::int64_t i = 0; i < block.columns; i += kLanes) {
      load(x, own + i);
      x -= most;
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

HOLDFAST_WIDE void share_again(const ScoreBlock& block, float* scores, const float* logs, std::int64_t to_log, float* bends) {
  for (std::int64_t row = 0; row < block.rows; ++row) {
    float* own = scores + row * block.columns;
    const float log = logs[row * to_log];
    for (std::int64_t i = 0; i < block.columns; i += kLanes) {
      Lanes x;
      load(x, own + i);
      count_scores(block, x);
      if (block.cap > 0) {
        const Lanes part = x * (1 / block.cap);
        store(bends + row * block.columns + i, 1.0F - part * part);
      }
      x -= log;
      exponential(x);
      store(own + i, x);
    }
    set_unseen(block, row, 0, own);
  }
}

HOLDFAST_WIDE void slopes_at_scores(const ScoreBlock& block, const float* shares, const float* along, const float* bends,
                                    float* slopes) {
  for (std::int64_t row = 0; row < block.rows; ++row) {
    for (std::int64_t i = row * block.columns; i < (row + 1) * block.columns; i += kLanes) {
      Lanes share, slope, bend;
      load(share, shares + i);
      load(slope, slopes + i);
      slope = share * (slope - along[row]) * block.scale;
      if (block.cap > 0) {
        load(bend, bends + i);
        slope *= bend;
      }
      store(slopes + i, slope);
    }
  }
}

}  // namespace holdfast::fused
