#include "model/decoder.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <holdfast/error.h>
#include <holdfast/random.h>

#include <algorithm>
#include <cmath>
#include <numbers>
#include <numeric>

#include "base/suggest.h"

namespace holdfast {
namespace {

const std::vector<std::string> kLinearNames = {"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"};

std::string layer_name(std::int64_t layer) { return "model.layers." + std::to_string(layer) + "."; }

std::string shape_text(at::IntArrayRef shape) {
  std::string text = "[";
  for (std::size_t i = 0; i < shape.size(); ++i) text += (i == 0 ? "" : ", ") + std::to_string(shape[i]);
  return text + "]";
}

// Every tensor of the checkpoint with its shape.
std::map<std::string, std::vector<std::int64_t>> expected_shapes(const ModelConfig& c) {
  std::map<std::string, std::vector<std::int64_t>> shapes = {{"model.embed_tokens.weight", {c.vocabulary, c.width}},
                                                             {"model.norm.weight", {c.width}}};
  if (!c.tied_head) shapes["lm_head.weight"] = {c.vocabulary, c.width};
  for (std::int64_t l = 0; l < c.layers; ++l) {
    const std::string at = layer_name(l);
    shapes[at + "input_layernorm.weight"] = {c.width};
    shapes[at + "post_attention_layernorm.weight"] = {c.width};
    shapes[at + "self_attn.q_proj.weight"] = {c.heads * c.head_width, c.width};
    shapes[at + "self_attn.k_proj.weight"] = {c.kv_heads * c.head_width, c.width};
    shapes[at + "self_attn.v_proj.weight"] = {c.kv_heads * c.head_width, c.width};
    shapes[at + "self_attn.o_proj.weight"] = {c.width, c.heads * c.head_width};
    shapes[at + "mlp.gate_proj.weight"] = {c.feed_forward, c.width};
    shapes[at + "mlp.up_proj.weight"] = {c.feed_forward, c.width};
    shapes[at + "mlp.down_proj.weight"] = {c.width, c.feed_forward};
  }
  return shapes;
}

void check_shapes(const ModelConfig& config, const NamedTensors& weights, const std::string& source) {
  const auto expected = expected_shapes(config);
  for (const auto& [name, shape] : expected) {
    const auto found = weights.find(name);
    if (found == weights.end()) throw Error(source + " has no tensor \"" + name + "\", which its configuration calls for");
    if (found->second.sizes() != at::IntArrayRef(shape)) {
      throw Error(source + ": tensor \"" + name + "\" has shape " + shape_text(found->second.sizes()) +
                  ", its configuration calls for " + shape_text(shape));
    }
  }
  for (const auto& [name, tensor] : weights) {
    if (!expected.contains(name)) {
      throw Error(source + " has a tensor \"" + name + "\" that a Llama decoder of its configuration does not have");
    }
  }
}

// Standard normal numbers by Box and Muller.
at::Tensor normal(Random& random, at::IntArrayRef shape, double deviation) {
  at::Tensor out = at::empty(shape, at::kFloat);
  auto* data = out.data_ptr<float>();
  for (std::int64_t i = 0; i < out.numel(); ++i) {
    const double radius = std::sqrt(-2 * std::log(1 - random.uniform()));
    data[i] = static_cast<float>(deviation * radius * std::cos(2 * std::numbers::pi * random.uniform()));
  }
  return out;
}

at::Tensor uniform(Random& random, at::IntArrayRef shape, double bound) {
  at::Tensor out = at::empty(shape, at::kFloat);
  auto* data = out.data_ptr<float>();
  for (std::int64_t i = 0; i < out.numel(); ++i) data[i] = static_cast<float>(bound * (2 * random.uniform() - 1));
  return out;
}

// Inverse wavelengths of the rotary planes, (D / 2), with Llama-3 scaling when the configuration has it.
std::vector<double> rotary_frequencies(const ModelConfig& config) {
  std::vector<double> frequencies;
  for (std::int64_t i = 0; i < config.head_width; i += 2) {
    double frequency = std::pow(config.rope_theta, -static_cast<double>(i) / static_cast<double>(config.head_width));
    if (config.rope_scaling) {
      const RopeScaling& s = *config.rope_scaling;
      const double positions = static_cast<double>(s.original_max_positions);
      const double wavelength = 2 * std::numbers::pi / frequency;
      // 0 below low_freq (scaled), 1 above high_freq (kept), linear between.
      const double keep =
          std::clamp((positions / wavelength - s.low_freq_factor) / (s.high_freq_factor - s.low_freq_factor), 0.0, 1.0);
      frequency = (1 - keep) * frequency / s.factor + keep * frequency;
    }
    frequencies.push_back(frequency);
  }
  return frequencies;
}

// Rotates the two halves of each head: x (N, heads, D), cos and sin (N, 1, D / 2).
at::Tensor rotate(const at::Tensor& x, const at::Tensor& cos, const at::Tensor& sin) {
  const auto halves = x.chunk(2, -1);
  return at::cat({halves[0] * cos - halves[1] * sin, halves[1] * cos + halves[0] * sin}, -1);
}

}  // namespace

// Where the packed tokens of one forward lie, and what each may see.
struct Decoder::Layout {
  std::int64_t batch = 0;    // B
  std::int64_t longest = 0;  // T
  std::int64_t start = 0;    // tokens of every sequence already cached (when that is one number)
  std::int64_t prefix = 0;   // leading tokens that stand for the beginning of every sequence
  bool single = false;       // each sequence brings one token to its own place in the cache
  at::Tensor rows;           // (N) place of each token in (B * T); undefined when no padding is needed
  at::Tensor slots;          // (B) cache slot of each single token
  at::Tensor positions;      // (N)
  at::Tensor cos, sin;       // (N, 1, D / 2), in the model's dtype
  at::Tensor mask;           // what each query may see; undefined: plain causal
};

at::Tensor Decoder::Linear::operator()(const at::Tensor& x) const {
  const at::Tensor y = at::linear(x, weight);
  if (lora == nullptr) return y;
  return y + at::linear(at::linear(x, lora->a), lora->b) * lora->scale;
}

Decoder::Decoder(const ModelConfig& config, NamedTensors weights, const std::string& source)
    : config_(config), weights_(std::move(weights)) {
  check_shapes(config_, weights_, source);
  embedding_ = weights_.at("model.embed_tokens.weight");
  final_norm_ = weights_.at("model.norm.weight");
  head_ = config_.tied_head ? embedding_ : weights_.at("lm_head.weight");
  for (std::int64_t l = 0; l < config_.layers; ++l) {
    const std::string at = layer_name(l);
    const auto linear = [&](const std::string& module) { return Linear{at + module, weights_.at(at + module + ".weight")}; };
    blocks_.push_back({weights_.at(at + "input_layernorm.weight"), weights_.at(at + "post_attention_layernorm.weight"),
                       linear("self_attn.q_proj"), linear("self_attn.k_proj"), linear("self_attn.v_proj"),
                       linear("self_attn.o_proj"), linear("mlp.gate_proj"), linear("mlp.up_proj"), linear("mlp.down_proj")});
  }
  frequencies_ = at::tensor(rotary_frequencies(config_), at::kDouble).to(device());
}

NamedTensors Decoder::random_weights(const ModelConfig& config, std::uint64_t seed) {
  NamedTensors weights;
  for (const auto& [name, shape] : expected_shapes(config)) {
    Random random(derive_seed(seed, name));
    weights[name] = shape.size() == 1 ? at::ones(shape, at::kFloat) : normal(random, shape, 0.02);
  }
  return weights;
}

// Angles are float64 first: float32 products of long positions lose whole radians.
void Decoder::set_angles(Layout& layout, const at::Tensor& positions) const {
  layout.positions = positions;
  const at::Tensor angles = at::outer(positions.to(at::kDouble), frequencies_).unsqueeze(1);
  layout.cos = angles.cos().to(dtype());
  layout.sin = angles.sin().to(dtype());
}

Decoder::Layout Decoder::layout(const std::vector<std::int64_t>& lengths, const KvCache* cache) const {
  Layout out;
  out.batch = static_cast<std::int64_t>(lengths.size());
  out.longest = *std::max_element(lengths.begin(), lengths.end());
  const bool padded = std::any_of(lengths.begin(), lengths.end(), [&](auto n) { return n != out.longest; });
  const bool same_start = cache == nullptr || std::all_of(cache->lengths.begin(), cache->lengths.end(),
                                                          [&](auto n) { return n == cache->lengths[0]; });
  out.start = cache == nullptr ? 0 : cache->lengths[0];
  out.single = cache != nullptr && out.longest == 1 && !padded && !(same_start && out.start == 0);
  HOLDFAST_CHECK(same_start || out.single);

  std::vector<std::int64_t> rows, positions;
  for (std::int64_t b = 0; b < out.batch; ++b) {
    const std::int64_t first = cache == nullptr ? 0 : cache->lengths[b];
    for (std::int64_t t = 0; t < lengths[b]; ++t) {
      rows.push_back(b * out.longest + t);
      positions.push_back(first + t);
    }
  }
  const std::int64_t last = *std::max_element(positions.begin(), positions.end());
  if (last >= config_.max_positions) {
    throw Error("a sequence has " + std::to_string(last + 1) + " tokens, the model's limit is " +
                std::to_string(config_.max_positions) + ": lower max_length or max_new_tokens");
  }
  const auto on_device = [&](const std::vector<std::int64_t>& values) { return at::tensor(values, at::kLong).to(device()); };
  if (padded) out.rows = on_device(rows);
  const at::Tensor index = on_device(positions);
  set_angles(out, index);
  if (out.single) {
    out.slots = index;
    // (B, 1, 1, S): a token sees the filled slots of its own sequence, itself included.
    out.mask = (at::arange(last + 1, index.options()).unsqueeze(0) <= index.unsqueeze(1)).view({out.batch, 1, 1, last + 1});
  } else if (out.start > 0) {
    // (T, start + T): the cached prefix, then causal.
    const at::Tensor queries = at::arange(out.longest, index.options()).unsqueeze(1) + out.start;
    out.mask = at::arange(out.start + out.longest, index.options()).unsqueeze(0) <= queries;
  }
  return out;
}

Decoder::Layout Decoder::shared_layout(std::int64_t prefix, const std::vector<std::int64_t>& lengths) const {
  KvCache before;  // what follows sees the prefix as if it came from a cache
  before.lengths.assign(lengths.size(), prefix);
  Layout out = layout(lengths, &before);
  if (out.single) {  // one token each after a common prefix: an ordinary chunk of length one
    out.single = false;
    out.mask = at::Tensor();
  }
  if (!out.mask.defined()) out.mask = at::ones({1, prefix + 1}, at::TensorOptions().dtype(at::kBool).device(device()));
  out.prefix = prefix;
  set_angles(out, at::cat({at::arange(prefix, out.positions.options()), out.positions}));
  return out;
}

at::Tensor Decoder::norm(const at::Tensor& x, const at::Tensor& weight) const {
  return at::rms_norm(x, {config_.width}, weight, config_.norm_eps);
}

// q (B, H, T, D), k and v (B, G, S, D) -> (B, H, T, D).
at::Tensor Decoder::attend(const at::Tensor& q, at::Tensor k, at::Tensor v, const Layout& layout) const {
  const std::int64_t batch = q.size(0), group = config_.heads / config_.kv_heads, keys = k.size(2);
  std::optional<at::Tensor> mask;
  if (layout.mask.defined()) mask = layout.mask;
  if (layout.single) {
    // One query a head: the heads of a group become the queries of their KV head, so nothing is copied.
    const at::Tensor grouped = q.reshape({batch, config_.kv_heads, group, config_.head_width});
    return at::scaled_dot_product_attention(grouped, k, v, mask).reshape({batch, config_.heads, 1, config_.head_width});
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
  return at::scaled_dot_product_attention(q, k, v, mask, 0.0, /*is_causal=*/!mask.has_value());
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
at::Tensor Decoder::attend_shared(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const Layout& layout) const {
  const std::int64_t rest = q.size(0) - layout.prefix;
  const auto first = [&](const at::Tensor& x) { return x.narrow(0, 0, layout.prefix).transpose(0, 1).unsqueeze(0); };
  const auto joined = [&](const at::Tensor& x) {
    const at::Tensor own = spread(x.narrow(0, layout.prefix, rest), layout);
    return at::cat({first(x).expand({layout.batch, -1, -1, -1}), own}, 2);
  };
  const at::Tensor begun = attend(first(q), first(k), first(v), Layout{});
  const at::Tensor followed = attend(spread(q.narrow(0, layout.prefix, rest), layout), joined(k), joined(v), layout);
  return at::cat({begun.transpose(1, 2).reshape({layout.prefix, -1}), collect(followed, layout)});
}

// Puts fresh keys or values (B, G, T, D) into the cache and returns all that is filled, (B, G, S, D).
at::Tensor Decoder::remember(at::Tensor& stored, const at::Tensor& fresh, const Layout& layout) {
  if (layout.single) {
    const at::Tensor all = at::arange(layout.batch, layout.slots.options());
    stored.index_put_({all, at::indexing::Slice(), layout.slots}, fresh.squeeze(2));
    return stored.narrow(2, 0, layout.mask.size(3));
  }
  stored.narrow(2, layout.start, layout.longest).copy_(fresh);
  return stored.narrow(2, 0, layout.start + layout.longest);
}

at::Tensor Decoder::attention(std::size_t layer, const at::Tensor& x, const Layout& layout, KvCache* cache) {
  const Block& block = blocks_[layer];
  const auto heads_of = [&](const Linear& linear) { return linear(x).view({x.size(0), -1, config_.head_width}); };
  const at::Tensor q = rotate(heads_of(block.q), layout.cos, layout.sin);
  const at::Tensor k = rotate(heads_of(block.k), layout.cos, layout.sin);
  const at::Tensor v = heads_of(block.v);
  at::Tensor out;
  if (layout.prefix > 0) {
    out = attend_shared(q, k, v, layout);
  } else {
    at::Tensor keys = spread(k, layout), values = spread(v, layout);
    if (cache != nullptr) {
      keys = remember(cache->keys[layer], keys, layout);
      values = remember(cache->values[layer], values, layout);
    }
    out = collect(attend(spread(q, layout), keys, values, layout), layout);
  }
  out = block.o(out);
  if (taps_.capture) taps_.outputs[layer] = out;
  if (layer < taps_.offsets.size() && taps_.offsets[layer].defined()) out = out + taps_.offsets[layer];
  return out;
}

at::Tensor Decoder::feed_forward(const Block& block, const at::Tensor& x) const {
  return block.down(at::silu(block.gate(x)) * block.up(x));
}

at::Tensor Decoder::blocks(const at::Tensor& ids, const Layout& layout, KvCache* cache) {
  if (taps_.capture) taps_.outputs.assign(blocks_.size(), {});
  at::Tensor x = at::embedding(embedding_, ids);  // (N, C)
  for (std::size_t l = 0; l < blocks_.size(); ++l) {
    x = x + attention(l, norm(x, blocks_[l].attention_norm), layout, cache);
    x = x + feed_forward(blocks_[l], norm(x, blocks_[l].feed_forward_norm));
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

at::Tensor Decoder::logits(const at::Tensor& hidden) const { return at::linear(hidden, head_); }

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
