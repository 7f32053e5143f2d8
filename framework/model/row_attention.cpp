#include "model/row_attention.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <atomic>
#include <cstring>

#include "model/kernels/usable.h"

namespace holdfast {
namespace {

// Fewer pairs of tokens, times the width of their heads, are done before other threads have begun.
constexpr std::int64_t kWorthThreads = 1 << 17;

float* scratch(std::size_t place, std::int64_t floats) {
  thread_local std::vector<float> memory[3];
  auto& own = memory[place];
  if (own.size() < static_cast<std::size_t>(floats)) own.resize(static_cast<std::size_t>(floats));
  return own.data();
}

// Keys and values of one sequence and one head, from position 0 on.
struct Seen {
  const float* keys;
  const float* values;
  std::int64_t key_stride, value_stride;
};

class Rows {
 public:
  Rows(const ModelConfig& config, const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const Layout& layout,
       const View& view, const std::optional<CachedLayer>& cache)
      : config_(config), q_(q), k_(k), v_(v), layout_(layout), view_(view), cache_(cache) {
    made_ = at::empty({q.size(0), config.heads * config.head_width}, q.options());
    std::int64_t row = layout.prefix;
    for (const auto length : layout.lengths) {
      rows_.push_back(row);
      row += length;
    }
  }

  at::Tensor made() {
    if (layout_.prefix > 0) {
      each(1, [&](std::int64_t, std::int64_t head) { attend(0, layout_.prefix, 0, head, packed(0, head)); });
    }
    each(layout_.batch, [&](std::int64_t b, std::int64_t head) {
      const auto place = static_cast<std::size_t>(b);
      attend(rows_[place], layout_.lengths[place], layout_.starts[place], head, seen(b, head));
    });
    return made_;
  }

 private:
  // Calls the function for each sequence and key-value head. Whichever thread is free takes the next: sequences differ in
  // length.
  template <typename Function>
  void each(std::int64_t sequences, const Function& function) {
    const std::int64_t all = sequences * config_.kv_heads;
    const bool worth = view_.pairs * config_.heads * config_.head_width >= kWorthThreads;
    std::atomic<std::int64_t> next = 0;
    const auto work = [&](std::int64_t, std::int64_t) {
      for (auto i = next++; i < all; i = next++) function(i / config_.kv_heads, i % config_.kv_heads);
    };
    if (!worth) return work(0, 1);
    at::parallel_for(0, at::get_num_threads(), 1, work);
  }

  // Where each token's keys and values are those of the forward, one after another.
  Seen packed(std::int64_t row, std::int64_t head) const {
    return {k_.const_data_ptr<float>() + row * k_.stride(0) + head * k_.stride(1),
            v_.const_data_ptr<float>() + row * v_.stride(0) + head * v_.stride(1), k_.stride(0), v_.stride(0)};
  }

  Seen seen(std::int64_t b, std::int64_t head) {
    const auto place = static_cast<std::size_t>(b);
    const std::int64_t row = rows_[place], tokens = layout_.lengths[place], start = layout_.starts[place];
    const Seen fresh = packed(row, head);
    if (!cache_ && start == 0) return fresh;
    if (cache_) return remembered(fresh, tokens, start, b, head);
    // Behind a shared prefix: both parts in one.
    const std::int64_t width = config_.head_width;
    float* const keys = scratch(0, (start + tokens) * width);
    float* const values = scratch(1, (start + tokens) * width);
    const Seen begun = packed(0, head);
    copy(begun, start, keys, values);
    copy(fresh, tokens, keys + start * width, values + start * width);
    return {keys, values, width, width};
  }

  Seen remembered(const Seen& fresh, std::int64_t tokens, std::int64_t start, std::int64_t b, std::int64_t head) {
    const auto stored = [&](const at::Tensor& tensor) {
      return static_cast<float*>(tensor.mutable_data_ptr()) + b * tensor.stride(0) + head * tensor.stride(1);
    };
    float* const keys = stored(cache_->keys);
    float* const values = stored(cache_->values);
    const std::int64_t width = config_.head_width;
    copy(fresh, tokens, keys + start * width, values + start * width);
    return {keys, values, width, width};
  }

  void copy(const Seen& from, std::int64_t tokens, float* keys, float* values) const {
    const std::int64_t width = config_.head_width;
    for (std::int64_t t = 0; t < tokens; ++t) {
      std::memcpy(keys + t * width, from.keys + t * from.key_stride, static_cast<std::size_t>(width) * sizeof(float));
      std::memcpy(values + t * width, from.values + t * from.value_stride, static_cast<std::size_t>(width) * sizeof(float));
    }
  }

  void attend(std::int64_t row, std::int64_t tokens, std::int64_t start, std::int64_t head, const Seen& seen) {
    const std::int64_t group = config_.heads / config_.kv_heads, keys = start + tokens;
    AttentionRows rows{};
    rows.queries = q_.const_data_ptr<float>() + row * q_.stride(0) + head * group * q_.stride(1);
    rows.query_stride = q_.stride(0);
    rows.keys = seen.keys;
    rows.values = seen.values;
    rows.key_stride = seen.key_stride;
    rows.value_stride = seen.value_stride;
    rows.made = made_.mutable_data_ptr<float>() + row * made_.stride(0) + head * group * config_.head_width;
    rows.made_stride = made_.stride(0);
    rows.tokens = tokens;
    rows.group = group;
    rows.width = config_.head_width;
    rows.start = start;
    rows.window = view_.window;
    rows.scale = static_cast<float>(score_scale(config_));
    rows.cap = static_cast<float>(config_.score_cap);
    rows.scores = scratch(2, 4 * ((keys + 15) / 16 * 16));
    kernels().attend(rows);
  }

  const ModelConfig& config_;
  const at::Tensor &q_, &k_, &v_;
  const Layout& layout_;
  const View& view_;
  const std::optional<CachedLayer>& cache_;
  at::Tensor made_;
  std::vector<std::int64_t> rows_;  // the first of each sequence
};

// Heads side by side in each row.
at::Tensor with_whole_heads(const at::Tensor& x) { return x.stride(2) == 1 && x.stride(1) == x.size(2) ? x : x.contiguous(); }

}  // namespace

bool has_row_attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v) {
  const bool graph = c10::GradMode::is_enabled() && (q.requires_grad() || k.requires_grad() || v.requires_grad());
  return !graph && q.is_cpu() && q.scalar_type() == at::kFloat;
}

at::Tensor attend_rows(const ModelConfig& config, const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                       const Layout& layout, const View& view, const std::optional<CachedLayer>& cache) {
  const at::Tensor queries = with_whole_heads(q), keys = with_whole_heads(k), values = with_whole_heads(v);
  return Rows(config, queries, keys, values, layout, view, cache).made();
}

}  // namespace holdfast
