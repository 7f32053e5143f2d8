#include "model/attention.h"

#include <ATen/ATen.h>

#include <cmath>
#include <limits>

#include "model/flash.h"
#include "model/flops.h"
#include "model/fused/attention.h"
#include "model/fused/once.h"
#include "model/row_attention.h"

namespace holdfast {
namespace {

// The softmax of capped scores where the mask allows.
at::Tensor shares_of(const at::Tensor& scores, const at::Tensor& mask) {
  const at::Tensor seen = scores.masked_fill(mask.logical_not(), -std::numeric_limits<double>::infinity());
  return at::softmax(seen, -1, at::promote_types(scores.scalar_type(), at::kFloat));
}

// Values weighted by the softmax of the scores; an undefined mask: causal.
at::Tensor mix(const ModelConfig& config, const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
               const at::Tensor& mask) {
  const double scale = score_scale(config);
  if (config.score_cap == 0) {
    const auto given = mask.defined() ? std::optional(mask) : std::nullopt;
    return at::scaled_dot_product_attention(q, k, v, given, 0.0, /*is_causal=*/!mask.defined(), scale);
  }
  const at::Tensor scores = capped(at::matmul(q, k.transpose(-2, -1)) * scale, config.score_cap);
  return at::matmul(shares_of(scores, mask).to(v.scalar_type()), v);
}

// q (B, H, T, D), k and v (B, G, S, D) -> (B, H, T, D).
at::Tensor attend_spread(const ModelConfig& config, const at::Tensor& q, at::Tensor k, at::Tensor v, const at::Tensor& mask,
                         bool single) {
  const std::int64_t batch = q.size(0), group = config.heads / config.kv_heads, keys = k.size(2);
  if (single) {
    // One query a head: the heads of a group become the queries of their KV head, so nothing is copied.
    const at::Tensor grouped = q.reshape({batch, config.kv_heads, group, config.head_width});
    return mix(config, grouped, k, v, mask).reshape({batch, config.heads, 1, config.head_width});
  }
  const auto repeat = [&](const at::Tensor& x) {
    return x.unsqueeze(2)
        .expand({batch, config.kv_heads, group, keys, config.head_width})
        .reshape({batch, config.heads, keys, config.head_width});
  };
  if (group > 1) {
    k = repeat(k);
    v = repeat(v);
  }
  return mix(config, q, k, v, mask);
}

// Packed q, k, v whose first layout.prefix rows begin every sequence: the prefix attends to itself, the rest to both.
at::Tensor attend_shared(const ModelConfig& config, const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                         const Layout& layout, const View& view) {
  const std::int64_t rest = q.size(0) - layout.prefix;
  const auto first = [&](const at::Tensor& x) { return x.narrow(0, 0, layout.prefix).transpose(0, 1).unsqueeze(0); };
  const auto joined = [&](const at::Tensor& x) {
    const at::Tensor own = spread(x.narrow(0, layout.prefix, rest), layout);
    return at::cat({first(x).expand({layout.batch, -1, -1, -1}), own}, 2);
  };
  const at::Tensor begun = attend_spread(config, first(q), first(k), first(v), view.prefix_mask, false);
  const at::Tensor followed =
      attend_spread(config, spread(q.narrow(0, layout.prefix, rest), layout), joined(k), joined(v), view.mask, false);
  return at::cat({begun.transpose(1, 2).reshape({layout.prefix, -1}), collect(followed, layout)});
}

// Puts fresh keys or values (B, G, T, D) into the cache and returns all that is filled, (B, G, S, D).
at::Tensor remember(at::Tensor stored, const at::Tensor& fresh, const Layout& layout) {
  if (layout.single) {
    const at::Tensor all = at::arange(layout.batch, layout.positions.options());
    stored.index_put_({all, at::indexing::Slice(), layout.positions}, fresh.squeeze(2));
    return stored.narrow(2, 0, layout.last + 1);
  }
  stored.narrow(2, layout.start, layout.longest).copy_(fresh);
  return stored.narrow(2, 0, layout.start + layout.longest);
}

at::Tensor attended(const ModelConfig& config, const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                    const Layout& layout, const View& view, const std::optional<CachedLayer>& cache) {
  if (view.flash) return flash_attend(config, q, k, v, layout, view, cache);
  if (cache && has_row_attention(q, k, v)) return attend_rows(config, q, k, v, layout, view, *cache);
  // With graph or without: a model in training and its reference go one way.
  if (!cache && fused::serves(q)) {
    return fused::attend(q, k, v, {layout.prefix, layout.lengths, view.window}, score_scale(config), config.score_cap);
  }
  if (layout.prefix > 0) return attend_shared(config, q, k, v, layout, view);
  at::Tensor keys = spread(k, layout), values = spread(v, layout);
  if (cache) {
    keys = remember(cache->keys, keys, layout);
    values = remember(cache->values, values, layout);
  }
  return collect(attend_spread(config, spread(q, layout), keys, values, view.mask, layout.single), layout);
}

// One product over all that queries see: their scores, or what they make of the values.
std::int64_t product_of_pairs(const ModelConfig& config, std::int64_t pairs) {
  return 2 * config.heads * config.head_width * pairs;
}

}  // namespace

double score_scale(const ModelConfig& config) {
  return 1 / std::sqrt(static_cast<double>(config.query_scalar.value_or(config.head_width)));
}

at::Tensor capped(const at::Tensor& x, double cap) { return at::tanh(x / cap) * cap; }

at::Tensor attend(const ModelConfig& config, const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                  const Layout& layout, const View& view, const std::optional<CachedLayer>& cache) {
  const at::Tensor made = attended(config, q, k, v, layout, view, cache);
  const bool to_q = q.requires_grad(), to_k = k.requires_grad(), to_v = v.requires_grad();
  // Back: to the values, to the shares, and from those to queries and keys.
  const std::int64_t product = product_of_pairs(config, view.pairs), back = to_v + (to_q || to_k) + to_q + to_k;
  count_flops(made, 2 * product, back * product);
  return made;
}

at::Tensor attention_shares(const ModelConfig& config, const at::Tensor& q, const at::Tensor& k, std::int64_t window) {
  const std::int64_t tokens = q.size(0);
  const at::Tensor keys = k.repeat_interleave(config.heads / config.kv_heads, 1).permute({1, 2, 0});  // (H, D, T)
  at::Tensor scores = at::matmul(q.transpose(0, 1), keys) * score_scale(config);
  const std::int64_t product = product_of_pairs(config, pairs_seen(tokens, window));
  count_flops(scores, product, (q.requires_grad() + k.requires_grad()) * product);
  if (config.score_cap > 0) scores = capped(scores, config.score_cap);
  return shares_of(scores, visible(at::arange(tokens, q.options().dtype(at::kLong)), tokens, window));
}

}  // namespace holdfast
