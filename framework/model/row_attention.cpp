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
constexpr std::int64_t kPairsWorthThreads = 1 << 17;

float* score_memory(std::int64_t floats) {
  thread_local std::vector<float> own;
  if (own.size() < static_cast<std::size_t>(floats)) own.resize(static_cast<std::size_t>(floats));
  return own.data();
}

class Rows {
 public:
  Rows(const ModelConfig& config, const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const Layout& layout,
       const View& view, const CachedLayer& cache)
      : config_(config), q_(q), k_(k), v_(v), layout_(layout), view_(view), cache_(cache) {
    made_ = at::empty({q.size(0), config.heads * config.head_width}, q.options());
    std::int64_t row = 0;
    for (const auto length : layout.lengths) {
      rows_.push_back(row);
      row += length;
    }
  }

  // Sequence by sequence and key-value head by head. Whichever thread is free takes the next: sequences differ in length.
  at::Tensor made() {
    const std::int64_t all = layout_.batch * config_.kv_heads;
    const bool worth = view_.pairs * config_.heads * config_.head_width >= kPairsWorthThreads;
    std::atomic<std::int64_t> next = 0;
    const auto work = [&](std::int64_t, std::int64_t) {
      for (auto i = next++; i < all; i = next++) attend(i / config_.kv_heads, i % config_.kv_heads);
    };
    if (worth) {
      at::parallel_for(0, at::get_num_threads(), 1, work);
    } else {
      work(0, 1);
    }
    return made_;
  }

 private:
  // Puts the forward's keys, or values, behind those before them, and returns all of them.
  const float* stored(const at::Tensor& fresh, const at::Tensor& cached, std::int64_t b, std::int64_t head) const {
    const auto place = static_cast<std::size_t>(b);
    const std::int64_t width = config_.head_width, start = layout_.starts[place];
    const float* const from = fresh.const_data_ptr<float>() + rows_[place] * fresh.stride(0) + head * fresh.stride(1);
    float* const all = static_cast<float*>(cached.mutable_data_ptr()) + b * cached.stride(0) + head * cached.stride(1);
    for (std::int64_t t = 0; t < layout_.lengths[place]; ++t) {
      std::memcpy(all + (start + t) * width, from + t * fresh.stride(0), static_cast<std::size_t>(width) * sizeof(float));
    }
    return all;
  }

  void attend(std::int64_t b, std::int64_t head) {
    const auto place = static_cast<std::size_t>(b);
    const std::int64_t group = config_.heads / config_.kv_heads, row = rows_[place];
    AttentionRows rows{};
    rows.queries = q_.const_data_ptr<float>() + row * q_.stride(0) + head * group * q_.stride(1);
    rows.query_stride = q_.stride(0);
    rows.keys = stored(k_, cache_.keys, b, head);
    rows.values = stored(v_, cache_.values, b, head);
    rows.key_stride = rows.value_stride = config_.head_width;
    rows.made = made_.mutable_data_ptr<float>() + row * made_.stride(0) + head * group * config_.head_width;
    rows.made_stride = made_.stride(0);
    rows.tokens = layout_.lengths[place];
    rows.group = group;
    rows.width = config_.head_width;
    rows.start = layout_.starts[place];
    rows.window = view_.window;
    rows.scale = static_cast<float>(score_scale(config_));
    rows.cap = static_cast<float>(config_.score_cap);
    rows.scores = score_memory(4 * ((rows.start + rows.tokens + 15) / 16 * 16));
    kernels().attend(rows);
  }

  const ModelConfig& config_;
  const at::Tensor &q_, &k_, &v_;
  const Layout& layout_;
  const View& view_;
  const CachedLayer& cache_;
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
                       const Layout& layout, const View& view, const CachedLayer& cache) {
  const at::Tensor queries = with_whole_heads(q), keys = with_whole_heads(k), values = with_whole_heads(v);
  return Rows(config, queries, keys, values, layout, view, cache).made();
}

}  // namespace holdfast
