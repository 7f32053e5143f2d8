#include "model/layout.h"

#include <ATen/ATen.h>
#include <holdfast/error.h>

#include <algorithm>
#include <utility>

#include "model/flash.h"
#include "model/upload.h"

namespace holdfast {
namespace {

std::int64_t seen_from(std::int64_t position, std::int64_t window) {
  return window == 0 ? position + 1 : std::min(window, position + 1);
}

// The rotations of all parts' rows.
View joined(const std::vector<Layout>& parts, View Layout::*kind) {
  View out;
  std::vector<at::Tensor> cos, sin;
  for (const auto& part : parts) {
    cos.push_back((part.*kind).cos);
    sin.push_back((part.*kind).sin);
  }
  if (!cos.front().defined()) return out;
  out.cos = at::cat(cos);
  out.sin = at::cat(sin);
  return out;
}

}  // namespace

Layout Layout::on(at::Device device) const {
  Layout moved = *this;
  const auto move = [&](std::initializer_list<at::Tensor*> tensors) {
    for (at::Tensor* tensor : tensors) {
      if (tensor->defined()) *tensor = tensor->to(device);
    }
  };
  move({&moved.rows, &moved.positions, &moved.spans.order, &moved.spans.places});
  Packing& at = moved.packing;
  move({&at.ends, &at.prefix_ends, &at.rest_ends, &at.key_begins, &at.key_counts, &at.rows});
  for (View* view : {&moved.full, &moved.sliding}) move({&view->cos, &view->sin, &view->mask, &view->prefix_mask});
  for (Layout& part : moved.parts) part = part.on(device);
  return moved;
}

LayoutMaker::LayoutMaker(const ModelConfig& config, const at::TensorOptions& options)
    : config_(config), options_(options), flash_(flash_serves(config, options)) {
  const auto on_device = [&](const Rope& rope) {
    return at::tensor(rope.frequencies(config_.head_width), at::kDouble).to(options_.device());
  };
  frequencies_ = on_device(config_.rope);
  if (config_.window > 0) sliding_frequencies_ = on_device(config_.sliding_rope.value_or(config_.rope));
}

// Everything of a layout but its views. starts: the tokens of each sequence that are cached already.
Layout LayoutMaker::place(const std::vector<std::int64_t>& lengths, const std::vector<std::int64_t>& starts) const {
  Layout out;
  out.batch = static_cast<std::int64_t>(lengths.size());
  out.longest = *std::max_element(lengths.begin(), lengths.end());
  const bool padded = std::any_of(lengths.begin(), lengths.end(), [&](auto n) { return n != out.longest; });
  const bool same_start = std::all_of(starts.begin(), starts.end(), [&](auto n) { return n == starts[0]; });
  out.start = starts[0];
  out.lengths = lengths;
  out.starts = starts;
  out.single = out.longest == 1 && !padded && !(same_start && out.start == 0);
  HOLDFAST_CHECK(same_start || out.single);

  std::vector<std::int64_t> rows, positions;
  for (std::int64_t b = 0; b < out.batch; ++b) {
    for (std::int64_t t = 0; t < lengths[b]; ++t) {
      rows.push_back(b * out.longest + t);
      positions.push_back(starts[b] + t);
    }
  }
  out.last = *std::max_element(positions.begin(), positions.end());
  if (out.last >= config_.max_positions) {
    throw Error("a sequence has " + std::to_string(out.last + 1) + " tokens, the model's limit is " +
                std::to_string(config_.max_positions) + ": lower max_length or max_new_tokens");
  }
  if (!padded) rows.clear();
  const auto there = upload({rows, positions}, options_.device());
  if (padded) out.rows = there[0];
  out.positions = there[1];
  out.places = std::move(positions);
  return out;
}

Layout LayoutMaker::packed(const std::vector<std::int64_t>& lengths, const KvCache* cache, std::int64_t first) const {
  std::vector<std::int64_t> starts(lengths.size());
  if (cache != nullptr) std::copy_n(cache->lengths.begin() + first, lengths.size(), starts.begin());
  Layout out = place(lengths, starts);
  if (flash_) out.packing = pack(out, cache == nullptr ? 0 : cache->keys.front().size(2));
  set_views(out);
  return out;
}

// What follows sees the prefix as if it came from a cache; one token each is an ordinary chunk of length one.
Layout LayoutMaker::shared(std::int64_t prefix, const std::vector<std::int64_t>& lengths) const {
  Layout out = place(lengths, std::vector<std::int64_t>(lengths.size(), prefix));
  out.single = false;
  out.prefix = prefix;
  if (flash_) out.packing = pack(out, 0);
  set_views(out);
  return out;
}

Layout LayoutMaker::together(std::vector<Layout> parts, Spans spans) {
  Layout out;
  out.full = joined(parts, &Layout::full);
  out.sliding = joined(parts, &Layout::sliding);
  out.parts = std::move(parts);
  out.spans = std::move(spans);
  return out;
}

// capacity: of a cache's rows; 0: there is no cache.
Packing LayoutMaker::pack(const Layout& layout, std::int64_t capacity) const {
  std::vector<std::int64_t> ends = {0}, begins, counts, rows;
  for (const auto length : layout.lengths) ends.push_back(ends.back() + length);
  if (capacity > 0) {
    std::size_t token = 0;
    for (std::size_t b = 0; b < layout.lengths.size(); ++b) {
      begins.push_back(static_cast<std::int64_t>(b) * capacity);
      counts.push_back(layout.starts[b] + layout.lengths[b]);
      for (std::int64_t t = 0; t < layout.lengths[b]; ++t) rows.push_back(begins.back() + layout.places[token++]);
    }
    begins.push_back(begins.back() + capacity);
  }
  std::vector<std::int64_t> all = {0, layout.prefix, 0, ends.back()};
  for (const auto* part : {&ends, &begins, &counts, &rows}) all.insert(all.end(), part->begin(), part->end());
  const at::Tensor wide = upload({all}, options_.device())[0], narrow = wide.to(at::kInt);
  std::int64_t taken = 0;
  const auto next = [&](const at::Tensor& from, std::size_t count) {
    const auto numbers = static_cast<std::int64_t>(count);
    return from.narrow(0, std::exchange(taken, taken + numbers), numbers);
  };
  Packing out;
  out.prefix_ends = next(narrow, 2);
  out.rest_ends = next(narrow, 2);
  out.ends = next(narrow, ends.size());
  out.key_begins = next(narrow, begins.size());
  out.key_counts = next(narrow, counts.size());
  out.rows = next(wide, rows.size());
  return out;
}

void LayoutMaker::set_views(Layout& layout) const {
  const auto& sliding = config_.sliding;
  if (sliding.empty() || std::count(sliding.begin(), sliding.end(), false) > 0) layout.full = view(layout, frequencies_, 0);
  if (config_.window > 0) layout.sliding = view(layout, sliding_frequencies_, config_.window);
}

View LayoutMaker::view(const Layout& layout, const at::Tensor& frequencies, std::int64_t window) const {
  View out;
  out.window = window;
  out.pairs = pairs_seen(layout.prefix, window);
  for (const auto place : layout.places) out.pairs += seen_from(place, window);
  const auto index = layout.positions.options();
  const at::Tensor positions =
      layout.prefix > 0 ? at::cat({at::arange(layout.prefix, index), layout.positions}) : layout.positions;
  // Angles are float64 first: float32 products of long positions lose whole radians.
  const at::Tensor angles = at::outer(positions.to(at::kDouble), frequencies).unsqueeze(1);
  const auto dtype = c10::typeMetaToScalarType(options_.dtype());
  out.cos = angles.cos().to(dtype);
  out.sin = angles.sin().to(dtype);

  // Scores that are capped have no fused kernel that is causal by itself.
  const auto needed = [&](std::int64_t keys) { return config_.score_cap > 0 || (window > 0 && keys > window); };
  const std::int64_t keys = layout.single ? layout.last + 1 : layout.start + layout.longest;
  // Behind a shared prefix longer than the window each query of a sequence sees another part of it.
  out.flash = flash_ && !(layout.prefix > 0 && window > 0 && keys > window);
  if (out.flash) return out;
  if (layout.single) {
    // (B, 1, 1, S): a token sees the filled slots of its own sequence, itself included.
    out.mask = visible(layout.positions, keys, window).view({layout.batch, 1, 1, keys});
  } else if (layout.start > 0 || needed(keys)) {
    // (T, start + T): what is cached, then causal.
    out.mask = visible(at::arange(layout.start, keys, index), keys, window);
  }
  if (layout.prefix > 0 && needed(layout.prefix))
    out.prefix_mask = visible(at::arange(layout.prefix, index), layout.prefix, window);
  return out;
}

at::Tensor visible(const at::Tensor& queries, std::int64_t keys, std::int64_t window) {
  const at::Tensor key = at::arange(keys, queries.options()).unsqueeze(0), query = queries.unsqueeze(1);
  const at::Tensor causal = key <= query;
  return window == 0 ? causal : causal.logical_and(key > query - window);
}

std::int64_t pairs_seen(std::int64_t tokens, std::int64_t window) {
  std::int64_t pairs = 0;
  for (std::int64_t position = 0; position < tokens; ++position) pairs += seen_from(position, window);
  return pairs;
}

at::Tensor spread(const at::Tensor& packed, const Layout& layout) {
  const std::int64_t heads = packed.size(1), head_width = packed.size(2);
  at::Tensor rows = packed;
  if (layout.rows.defined()) {
    rows = at::zeros({layout.batch * layout.longest, heads, head_width}, packed.options()).index_copy(0, layout.rows, packed);
  }
  return rows.view({layout.batch, layout.longest, heads, head_width}).transpose(1, 2);
}

at::Tensor collect(const at::Tensor& heads, const Layout& layout) {
  const at::Tensor rows = heads.transpose(1, 2).reshape({-1, heads.size(1) * heads.size(3)});
  return layout.rows.defined() ? rows.index_select(0, layout.rows) : rows;
}

}  // namespace holdfast
