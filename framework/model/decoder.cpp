#include "model/decoder.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <holdfast/error.h>
#include <holdfast/random.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "base/suggest.h"
#include "model/decoder_weights.h"

namespace holdfast {
namespace {

const std::vector<std::string> kLinearNames = {"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"};

at::Tensor uniform(Random& random, at::IntArrayRef shape, double bound) {
  at::Tensor out = at::empty(shape, at::kFloat);
  auto* data = out.data_ptr<float>();
  for (std::int64_t i = 0; i < out.numel(); ++i) data[i] = static_cast<float>(bound * (2 * random.uniform() - 1));
  return out;
}

// Rotates the two halves of each head: x (N, heads, D), cos and sin (N, 1, D / 2).
at::Tensor rotate(const at::Tensor& x, const at::Tensor& cos, const at::Tensor& sin) {
  const auto halves = x.chunk(2, -1);
  return at::cat({halves[0] * cos - halves[1] * sin, halves[1] * cos + halves[0] * sin}, -1);
}

// Which of the first `keys` positions each query sees: itself and what came before, of that the last `window` only (0: all).
at::Tensor visible(const at::Tensor& queries, std::int64_t keys, std::int64_t window) {
  const at::Tensor key = at::arange(keys, queries.options()).unsqueeze(0), query = queries.unsqueeze(1);
  const at::Tensor causal = key <= query;
  return window == 0 ? causal : causal.logical_and(key > query - window);
}

at::Tensor capped(const at::Tensor& x, double cap) { return at::tanh(x / cap) * cap; }

}  // namespace

// What one kind of layer, sliding or not, makes of the positions.
struct Decoder::View {
  at::Tensor cos, sin;     // (N, 1, D / 2), in the model's dtype
  at::Tensor mask;         // what each query may see; undefined: plain causal
  at::Tensor prefix_mask;  // the same for a shared prefix
};

// Where the packed tokens of one forward lie, and what each may see.
struct Decoder::Layout {
  std::int64_t batch = 0;    // B
  std::int64_t longest = 0;  // T
  std::int64_t start = 0;    // tokens of every sequence already cached (when that is one number)
  std::int64_t last = 0;     // the greatest position
  std::int64_t prefix = 0;   // leading tokens that stand for the beginning of every sequence
  bool single = false;       // each sequence brings one token to its own place in the cache
  at::Tensor rows;           // (N) place of each token in (B * T); undefined when no padding is needed
  at::Tensor positions;      // (N), without a shared prefix; of a single token also its cache slot
  View full, sliding;
};

at::Tensor Decoder::Linear::operator()(const at::Tensor& x) const {
  const at::Tensor y = at::linear(x, weight, bias);
  if (lora == nullptr) return y;
  return y + at::linear(at::linear(x, lora->a), lora->b) * lora->scale;
}

Decoder::Decoder(const ModelConfig& config, NamedTensors weights, const std::string& source)
    : config_(config), weights_(std::move(weights)) {
  check_shapes(config_, weights_, source);
  embedding_ = weights_.at("model.embed_tokens.weight");
  final_norm_ = weights_.at("model.norm.weight");
  head_ = config_.tied_head ? embedding_ : weights_.at("lm_head.weight");
  for (std::int64_t l = 0; l < config_.layers; ++l) blocks_.push_back(make_block(l));
  // Rounded as the model was trained.
  if (config_.embedding_scale != 1) embedding_scale_ = at::scalar_tensor(config_.embedding_scale, embedding_.options());
  const auto on_device = [&](const Rope& rope) {
    return at::tensor(rope.frequencies(config_.head_width), at::kDouble).to(device());
  };
  frequencies_ = on_device(config_.rope);
  if (config_.window > 0) sliding_frequencies_ = on_device(config_.sliding_rope.value_or(config_.rope));
}

// check_shapes has seen to it that a tensor is there exactly when the architecture has it.
Decoder::Block Decoder::make_block(std::int64_t layer) const {
  const std::string at = layer_name(layer);
  const auto tensor = [&](const std::string& name) {
    const auto found = weights_.find(at + name);
    return found == weights_.end() ? at::Tensor() : found->second;
  };
  const auto linear = [&](const std::string& module) {
    const at::Tensor bias = tensor(module + ".bias");
    return Linear{at + module, tensor(module + ".weight"), bias.defined() ? std::optional(bias) : std::nullopt};
  };
  Block block;
  block.attention_norm = tensor("input_layernorm.weight");
  block.feed_forward_norm =
      tensor(config_.outer_norms ? "pre_feedforward_layernorm.weight" : "post_attention_layernorm.weight");
  block.q = linear("self_attn.q_proj");
  block.k = linear("self_attn.k_proj");
  block.v = linear("self_attn.v_proj");
  block.o = linear("self_attn.o_proj");
  block.gate = linear("mlp.gate_proj");
  block.up = linear("mlp.up_proj");
  block.down = linear("mlp.down_proj");
  block.query_norm = tensor("self_attn.q_norm.weight");
  block.key_norm = tensor("self_attn.k_norm.weight");
  if (config_.outer_norms) block.after_attention_norm = tensor("post_attention_layernorm.weight");
  block.after_feed_forward_norm = tensor("post_feedforward_layernorm.weight");
  block.sliding = config_.is_sliding(layer);
  return block;
}

// Everything of a layout but its views. starts: the tokens of each sequence that are cached already.
Decoder::Layout Decoder::place(const std::vector<std::int64_t>& lengths, const std::vector<std::int64_t>& starts) const {
  Layout out;
  out.batch = static_cast<std::int64_t>(lengths.size());
  out.longest = *std::max_element(lengths.begin(), lengths.end());
  const bool padded = std::any_of(lengths.begin(), lengths.end(), [&](auto n) { return n != out.longest; });
  const bool same_start = std::all_of(starts.begin(), starts.end(), [&](auto n) { return n == starts[0]; });
  out.start = starts[0];
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
  const auto on_device = [&](const std::vector<std::int64_t>& values) { return at::tensor(values, at::kLong).to(device()); };
  if (padded) out.rows = on_device(rows);
  out.positions = on_device(positions);
  return out;
}

Decoder::Layout Decoder::layout(const std::vector<std::int64_t>& lengths, const KvCache* cache) const {
  Layout out = place(lengths, cache == nullptr ? std::vector<std::int64_t>(lengths.size()) : cache->lengths);
  set_views(out);
  return out;
}

// What follows sees the prefix as if it came from a cache; one token each is an ordinary chunk of length one.
Decoder::Layout Decoder::shared_layout(std::int64_t prefix, const std::vector<std::int64_t>& lengths) const {
  Layout out = place(lengths, std::vector<std::int64_t>(lengths.size(), prefix));
  out.single = false;
  out.prefix = prefix;
  set_views(out);
  return out;
}

void Decoder::set_views(Layout& layout) const {
  const auto& sliding = config_.sliding;
  if (sliding.empty() || std::count(sliding.begin(), sliding.end(), false) > 0) layout.full = view(layout, frequencies_, 0);
  if (config_.window > 0) layout.sliding = view(layout, sliding_frequencies_, config_.window);
}

Decoder::View Decoder::view(const Layout& layout, const at::Tensor& frequencies, std::int64_t window) const {
  View out;
  const auto index = layout.positions.options();
  const at::Tensor positions =
      layout.prefix > 0 ? at::cat({at::arange(layout.prefix, index), layout.positions}) : layout.positions;
  // Angles are float64 first: float32 products of long positions lose whole radians.
  const at::Tensor angles = at::outer(positions.to(at::kDouble), frequencies).unsqueeze(1);
  out.cos = angles.cos().to(dtype());
  out.sin = angles.sin().to(dtype());

  // Scores that are capped have no fused kernel that is causal by itself.
  const auto needed = [&](std::int64_t keys) { return config_.score_cap > 0 || (window > 0 && keys > window); };
  const std::int64_t keys = layout.single ? layout.last + 1 : layout.start + layout.longest;
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

// An undefined weight: the architecture has no norm here.
at::Tensor Decoder::norm(const at::Tensor& x, const at::Tensor& weight) const {
  if (!weight.defined()) return x;
  if (!config_.offset_norms) return at::rms_norm(x, weight.sizes(), weight, config_.norm_eps);
  // In float32, for one and a small offset do not fit into 16 bits together.
  const at::ScalarType wide = at::promote_types(x.scalar_type(), at::kFloat);
  return at::rms_norm(x.to(wide), weight.sizes(), weight.to(wide) + 1, config_.norm_eps).to(x.scalar_type());
}

// Values weighted by the softmax of the scores; an undefined mask: causal.
at::Tensor Decoder::mix(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const at::Tensor& mask) const {
  const double scale = 1 / std::sqrt(static_cast<double>(config_.query_scalar.value_or(config_.head_width)));
  if (config_.score_cap == 0) {
    const auto given = mask.defined() ? std::optional(mask) : std::nullopt;
    return at::scaled_dot_product_attention(q, k, v, given, 0.0, /*is_causal=*/!mask.defined(), scale);
  }
  const at::Tensor scores = capped(at::matmul(q, k.transpose(-2, -1)) * scale, config_.score_cap);
  const at::Tensor seen = scores.masked_fill(mask.logical_not(), -std::numeric_limits<double>::infinity());
  const at::Tensor shares = at::softmax(seen, -1, at::promote_types(q.scalar_type(), at::kFloat));
  return at::matmul(shares.to(v.scalar_type()), v);
}

// q (B, H, T, D), k and v (B, G, S, D) -> (B, H, T, D).
at::Tensor Decoder::attend(const at::Tensor& q, at::Tensor k, at::Tensor v, const at::Tensor& mask, bool single) const {
  const std::int64_t batch = q.size(0), group = config_.heads / config_.kv_heads, keys = k.size(2);
  if (single) {
    // One query a head: the heads of a group become the queries of their KV head, so nothing is copied.
    const at::Tensor grouped = q.reshape({batch, config_.kv_heads, group, config_.head_width});
    return mix(grouped, k, v, mask).reshape({batch, config_.heads, 1, config_.head_width});
  }
  const auto repeat = [&](const at::Tensor& x) {
    return x.unsqueeze(2)
        .expand({batch, config_.kv_heads, group, keys, config_.head_width})
        .reshape({batch, config_.heads, keys, config_.head_width});
  };
  if (group > 1) {
    k = repeat(k);
    v = repeat(v);
  }
  return mix(q, k, v, mask);
}

// (N, heads, D) -> (B, heads, T, D); padding holds zeros, stands behind the real tokens, and is never read back.
at::Tensor Decoder::spread(const at::Tensor& packed, const Layout& layout) const {
  const std::int64_t heads = packed.size(1);
  at::Tensor rows = packed;
  if (layout.rows.defined()) {
    rows = at::zeros({layout.batch * layout.longest, heads, config_.head_width}, packed.options())
               .index_copy(0, layout.rows, packed);
  }
  return rows.view({layout.batch, layout.longest, heads, config_.head_width}).transpose(1, 2);
}

// (B, H, T, D) -> (N, H * D), the inverse of spread.
at::Tensor Decoder::collect(const at::Tensor& heads, const Layout& layout) const {
  const at::Tensor rows = heads.transpose(1, 2).reshape({-1, config_.heads * config_.head_width});
  return layout.rows.defined() ? rows.index_select(0, layout.rows) : rows;
}

// Packed q, k, v whose first layout.prefix rows begin every sequence: the prefix attends to itself, the rest to both.
at::Tensor Decoder::attend_shared(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const Layout& layout,
                                  const View& view) const {
  const std::int64_t rest = q.size(0) - layout.prefix;
  const auto first = [&](const at::Tensor& x) { return x.narrow(0, 0, layout.prefix).transpose(0, 1).unsqueeze(0); };
  const auto joined = [&](const at::Tensor& x) {
    const at::Tensor own = spread(x.narrow(0, layout.prefix, rest), layout);
    return at::cat({first(x).expand({layout.batch, -1, -1, -1}), own}, 2);
  };
  const at::Tensor begun = attend(first(q), first(k), first(v), view.prefix_mask, false);
  const at::Tensor followed = attend(spread(q.narrow(0, layout.prefix, rest), layout), joined(k), joined(v), view.mask, false);
  return at::cat({begun.transpose(1, 2).reshape({layout.prefix, -1}), collect(followed, layout)});
}

// Puts fresh keys or values (B, G, T, D) into the cache and returns all that is filled, (B, G, S, D).
at::Tensor Decoder::remember(at::Tensor& stored, const at::Tensor& fresh, const Layout& layout) {
  if (layout.single) {
    const at::Tensor all = at::arange(layout.batch, layout.positions.options());
    stored.index_put_({all, at::indexing::Slice(), layout.positions}, fresh.squeeze(2));
    return stored.narrow(2, 0, layout.last + 1);
  }
  stored.narrow(2, layout.start, layout.longest).copy_(fresh);
  return stored.narrow(2, 0, layout.start + layout.longest);
}

at::Tensor Decoder::attention(std::size_t layer, const at::Tensor& x, const Layout& layout, KvCache* cache) {
  const Block& block = blocks_[layer];
  const auto heads_of = [&](const Linear& linear) { return linear(x).view({x.size(0), -1, config_.head_width}); };
  const View& view = block.sliding ? layout.sliding : layout.full;
  const at::Tensor q = rotate(norm(heads_of(block.q), block.query_norm), view.cos, view.sin);
  const at::Tensor k = rotate(norm(heads_of(block.k), block.key_norm), view.cos, view.sin);
  const at::Tensor v = heads_of(block.v);
  at::Tensor out;
  if (layout.prefix > 0) {
    out = attend_shared(q, k, v, layout, view);
  } else {
    at::Tensor keys = spread(k, layout), values = spread(v, layout);
    if (cache != nullptr) {
      keys = remember(cache->keys[layer], keys, layout);
      values = remember(cache->values[layer], values, layout);
    }
    out = collect(attend(spread(q, layout), keys, values, view.mask, layout.single), layout);
  }
  out = block.o(out);
  if (taps_.capture) taps_.outputs[layer] = out;
  if (layer < taps_.offsets.size() && taps_.offsets[layer].defined()) out = out + taps_.offsets[layer];
  return out;
}

at::Tensor Decoder::feed_forward(const Block& block, const at::Tensor& x) const {
  // Up first: autograd sums into x in this order, and stored figures depend on the last bit.
  const at::Tensor up = block.up(x), gate = block.gate(x);
  return block.down((config_.gelu ? at::gelu(gate, "tanh") : at::silu(gate)) * up);
}

at::Tensor Decoder::blocks(const at::Tensor& ids, const Layout& layout, KvCache* cache) {
  if (taps_.capture) taps_.outputs.assign(blocks_.size(), {});
  at::Tensor x = at::embedding(embedding_, ids);  // (N, C)
  if (embedding_scale_.defined()) x = x * embedding_scale_;
  for (std::size_t l = 0; l < blocks_.size(); ++l) {
    const Block& block = blocks_[l];
    x = x + norm(attention(l, norm(x, block.attention_norm), layout, cache), block.after_attention_norm);
    x = x + norm(feed_forward(block, norm(x, block.feed_forward_norm)), block.after_feed_forward_norm);
  }
  return norm(x, final_norm_);
}

at::Tensor Decoder::forward(const at::Tensor& ids, const std::vector<std::int64_t>& lengths, KvCache* cache) {
  HOLDFAST_CHECK(ids.size(0) == std::accumulate(lengths.begin(), lengths.end(), std::int64_t{0}));
  const at::Tensor hidden = blocks(ids, layout(lengths, cache), cache);
  if (cache != nullptr) {
    for (std::size_t b = 0; b < lengths.size(); ++b) cache->lengths[b] += lengths[b];
  }
  return hidden;
}

at::Tensor Decoder::forward_shared(const at::Tensor& ids, std::int64_t prefix, const std::vector<std::int64_t>& lengths) {
  HOLDFAST_CHECK(ids.size(0) == std::accumulate(lengths.begin(), lengths.end(), prefix));
  return blocks(ids, shared_layout(prefix, lengths), nullptr);
}

at::Tensor Decoder::logits(const at::Tensor& hidden) const {
  const at::Tensor out = at::linear(hidden, head_);
  return config_.logit_cap > 0 ? capped(out, config_.logit_cap) : out;
}

KvCache Decoder::new_cache(std::int64_t batch, std::int64_t capacity) const {
  KvCache cache;
  cache.lengths.assign(batch, 0);
  for (std::int64_t l = 0; l < config_.layers; ++l) {
    for (auto* tensors : {&cache.keys, &cache.values}) {
      tensors->push_back(at::zeros({batch, config_.kv_heads, capacity, config_.head_width}, embedding_.options()));
    }
  }
  return cache;
}

std::vector<Decoder::Linear*> Decoder::linears() {
  std::vector<Linear*> all;
  for (auto& b : blocks_) all.insert(all.end(), {&b.q, &b.k, &b.v, &b.o, &b.gate, &b.up, &b.down});
  return all;
}

void Decoder::link_adapters() {
  for (auto* linear : linears()) {
    const auto found = adapters_.find(linear->module);
    linear->lora = found == adapters_.end() ? nullptr : &found->second;
  }
}

void Decoder::add_adapters(const LoraOptions& options, std::uint64_t seed) {
  HOLDFAST_CHECK(adapters_.empty());
  const auto& targets = options.targets.empty() ? kLinearNames : options.targets;
  for (const auto& target : targets) {
    if (std::count(kLinearNames.begin(), kLinearNames.end(), target) == 0) {
      throw Error("lora_targets names \"" + target + "\", which is no linear of a block." + suggestion(target, kLinearNames));
    }
  }
  for (auto* linear : linears()) {
    const std::string name = linear->module.substr(linear->module.rfind('.') + 1);
    if (std::count(targets.begin(), targets.end(), name) == 0) continue;
    Random random(derive_seed(seed, linear->module));
    const std::int64_t out = linear->weight.size(0), in = linear->weight.size(1);
    adapters_[linear->module] = {
        uniform(random, {options.rank, in}, 1 / std::sqrt(static_cast<double>(in))).to(linear->weight.options()),
        at::zeros({out, options.rank}, linear->weight.options()), options.alpha / static_cast<double>(options.rank)};
  }
  adapter_options_ = options;
  adapter_options_.targets = targets;
  link_adapters();
}

void Decoder::set_adapters(std::map<std::string, LoraFactors> factors, const LoraOptions& options, const std::string& source) {
  HOLDFAST_CHECK(adapters_.empty());
  std::map<std::string, Linear*> known;
  for (auto* linear : linears()) known[linear->module] = linear;
  for (auto& [module, lora] : factors) {
    const auto found = known.find(module);
    if (found == known.end()) throw Error(source + " adapts \"" + module + "\", which its base model does not have");
    const at::Tensor& weight = found->second->weight;
    if (!lora.a.defined() || !lora.b.defined() || lora.a.dim() != 2 || lora.b.dim() != 2 || lora.a.size(1) != weight.size(1) ||
        lora.b.size(0) != weight.size(0) || lora.a.size(0) != lora.b.size(1)) {
      throw Error(source + ": the factors of \"" + module + "\" do not fit its weight of shape " + shape_text(weight.sizes()));
    }
    lora.a = lora.a.to(weight.options());
    lora.b = lora.b.to(weight.options());
  }
  adapters_ = std::move(factors);
  adapter_options_ = options;
  link_adapters();
}

void Decoder::merge_adapters() {
  const c10::NoGradGuard no_grad;
  for (auto* linear : linears()) {
    if (linear->lora == nullptr) continue;
    linear->weight.add_(at::mm(linear->lora->b, linear->lora->a), linear->lora->scale);
  }
  adapters_.clear();
  link_adapters();
}

NamedTensors Decoder::trainable() const {
  if (adapters_.empty()) return weights_;
  NamedTensors factors;
  for (const auto& [module, lora] : adapters_) {
    factors[module + ".lora_A.weight"] = lora.a;
    factors[module + ".lora_B.weight"] = lora.b;
  }
  return factors;
}

void Decoder::require_gradients(bool on) {
  for (auto& [name, tensor] : weights_) tensor.set_requires_grad(on && adapters_.empty());
  for (auto& [module, lora] : adapters_) {
    lora.a.set_requires_grad(on);
    lora.b.set_requires_grad(on);
  }
}

std::unique_ptr<Decoder> Decoder::clone() const {
  const c10::NoGradGuard no_grad;
  NamedTensors copies;
  for (const auto& [name, tensor] : weights_) copies[name] = tensor.detach().clone();
  auto copy = std::make_unique<Decoder>(config_, std::move(copies), "the copied model");
  if (!adapters_.empty()) {
    auto factors = adapters_;
    for (auto& [module, lora] : factors) {
      lora.a = lora.a.detach().clone();
      lora.b = lora.b.detach().clone();
    }
    copy->set_adapters(std::move(factors), adapter_options_, "the copied model");
  }
  return copy;
}

}  // namespace holdfast
