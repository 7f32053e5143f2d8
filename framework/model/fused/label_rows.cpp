#include "model/fused/label_rows.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "model/fused/lanes.h"

namespace holdfast::fused {
namespace {

constexpr std::int64_t kSummed = 64 * kLanes;  // in float32; what is longer is summed in float64

// What is missing beyond the row counts nothing in its softmax.
HOLDFAST_INLINE void load_logits(Lanes& to, const float* from, std::int64_t count) {
  to = Lanes{} - std::numeric_limits<float>::infinity();
  if (count >= kLanes) return load(to, from);
  std::memcpy(&to, from, static_cast<std::size_t>(count) * sizeof(float));
}

}  // namespace

HOLDFAST_WIDE float label_row(float* row, std::int64_t size, std::int64_t label, bool slopes) {
  Lanes x, greatest;
  load_logits(greatest, row, size);
  for (std::int64_t i = kLanes; i < size; i += kLanes) {
    load_logits(x, row + i, size - i);
    greatest = x > greatest ? x : greatest;
  }
  const float most = greatest_of(greatest), chosen = row[label] - most;
  double sum = 0;
  for (std::int64_t begin = 0; begin < size; begin += kSummed) {
    Lanes sums{};
    for (std::int64_t i = begin; i < std::min(size, begin + kSummed); i += kLanes) {
      load_logits(x, row + i, size - i);
      x -= most;
      exponential(x);
      sums += x;
      if (slopes) store(row + i, x, size - i);
    }
    sum += sum_of(sums);
  }
  if (slopes) {
    const float part = static_cast<float>(-1 / sum);
    for (std::int64_t i = 0; i < size; i += kLanes) {
      load(x, row + i, size - i);
      store(row + i, x * part, size - i);
    }
    row[label] += 1;
  }
  return static_cast<float>(chosen - std::log(sum));
}

at::Tensor label_rows(at::Tensor& logits, const at::Tensor& labels, bool slopes) {
  const std::int64_t size = logits.size(1);
  at::Tensor log_probs = at::empty({logits.size(0)}, logits.options());
  const auto* label = labels.const_data_ptr<std::int64_t>();
  at::parallel_for(0, logits.size(0), 1,
                   [&, rows = logits.data_ptr<float>(), out = log_probs.data_ptr<float>()](auto i, auto last) {
                     for (; i < last; ++i) out[i] = label_row(rows + i * size, size, label[i], slopes);
                   });
  return log_probs;
}

}  // namespace holdfast::fused
