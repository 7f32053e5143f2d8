#include "model/decoder.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <holdfast/error.h>

#include <algorithm>
#include <numeric>

#include "model/block_checkpoint.h"
#include "model/decoder_weights.h"
#include "model/flash.h"
#include "model/flops.h"
#include "model/fused/embedding.h"
#include "model/fused/once.h"
#include "model/mapped_tensor.h"
#include "model/packed_weights.h"
#include "model/passes.h"

namespace holdfast {
namespace {

// The residual stream on its way through blocks that may lie on several devices, and the layout where it is.
struct Walk {
  at::Tensor state;

  Walk(const Layout& layout, at::Tensor embedded) : state(std::move(embedded)), given_(layout) {}

  void cross(at::Device device) {
    if (state.device() == device) return;
    state = state.to(device);
    moved_ = given_.on(device);
  }
  const Layout& layout() const { return moved_ ? *moved_ : given_; }

 private:
  const Layout& given_;
  std::optional<Layout> moved_;
};

}  // namespace

Decoder::Decoder(const ModelConfig& config, NamedTensors weights, const std::string& source)
    : config_(config), weights_(std::move(weights)) {
  check_shapes(config_, weights_, source);
  for (const auto& [name, tensor] : weights_) {
    if (lies_in_file(tensor)) shared_.insert(name);
  }
  link_weights();
  // Rounded as the model was trained.
  if (config_.embedding_scale != 1) embedding_scale_ = at::scalar_tensor(config_.embedding_scale, embedding_.options());
  layouts_ = std::make_unique<const LayoutMaker>(config_, embedding_.options());
}

void Decoder::link_weights() {
  embedding_ = weights_.at(kEmbeddingWeight);
  final_norm_ = weights_.at("model.norm.weight");
  head_ = config_.tied_head ? embedding_ : weights_.at(kHeadWeight);
  blocks_.clear();
  for (std::int64_t l = 0; l < config_.layers; ++l) blocks_.emplace_back(config_, weights_, l);
  link_adapters();
}

at::Tensor Decoder::embed(const at::Tensor& ids) const {
  const bool own = fused::serves(embedding_) && embedding_.requires_grad() && c10::GradMode::is_enabled();
  const at::Tensor x = own ? fused::embedding(embedding_, ids) : at::embedding(embedding_, ids);  // (N, C)
  return embedding_scale_.defined() ? x * embedding_scale_ : x;
}

Sites Decoder::sites(std::size_t layer, const Layout& layout) const {
  return {listeners_.empty() ? nullptr : &listeners_, static_cast<std::int64_t>(layer), &layout.spans};
}

// Those to multiply by now.
const PackedWeights* Decoder::packed() const { return c10::GradMode::is_enabled() || !listeners_.empty() ? nullptr : packed_; }

// `checkpoint`: wanted, and nobody but this block reads x, whose gradient would have a part that comes in between those of the
// block.
at::Tensor Decoder::through_block(std::size_t layer, const at::Tensor& x, const Layout& layout,
                                  const std::optional<CachedLayer>& cached, bool checkpoint) const {
  const auto number = static_cast<std::int64_t>(layer);
  const bool listened = listeners_.listen_in(number) || (layer > 0 && listeners_.listen_in(number - 1));
  if (checkpoint && c10::GradMode::is_enabled() && !cached && !listened) {
    return checkpointed(blocks_[layer], config_, x, layout);
  }
  const PackedBlock* const packed_block = packed() == nullptr ? nullptr : &packed()->block(number);
  return blocks_[layer](config_, x, layout, cached, sites(layer, layout), packed_block);
}

at::Tensor Decoder::through_blocks(const at::Tensor& ids, const Layout& layout, KvCache* cache, std::int64_t first,
                                   bool checkpoints) const {
  Walk walk(layout, embed(ids));
  for (std::size_t l = 0; l < blocks_.size(); ++l) {
    std::optional<CachedLayer> cached;
    if (cache != nullptr) {
      const auto rows = [&](const at::Tensor& all) { return all.narrow(0, first, layout.batch); };
      cached.emplace(CachedLayer{rows(cache->keys[l]), rows(cache->values[l])});
    }
    walk.cross(blocks_[l].q.weight.device());
    walk.state = through_block(l, walk.state, walk.layout(), cached, checkpoints);
  }
  const at::Tensor x = walk.state.to(device());
  count_pass(x, ids.size(0), 1);
  return final_norm(x);
}

at::Tensor Decoder::forward(const at::Tensor& ids, const std::vector<std::int64_t>& lengths, KvCache* cache, std::int64_t first,
                            const Spans& spans) const {
  HOLDFAST_CHECK(ids.size(0) == std::accumulate(lengths.begin(), lengths.end(), std::int64_t{0}));
  Layout layout = layouts_->packed(lengths, cache, first);
  layout.spans = spans;
  const at::Tensor hidden = through_blocks(ids, layout, cache, first, checkpoints_);
  if (cache != nullptr) {
    for (std::size_t b = 0; b < lengths.size(); ++b) cache->lengths[static_cast<std::size_t>(first) + b] += lengths[b];
  }
  return hidden;
}

at::Tensor Decoder::forward_shared(const at::Tensor& ids, std::int64_t prefix, const std::vector<std::int64_t>& lengths) const {
  HOLDFAST_CHECK(ids.size(0) == std::accumulate(lengths.begin(), lengths.end(), prefix));
  return through_blocks(ids, layouts_->shared(prefix, lengths), nullptr, 0, checkpoints_);
}

std::vector<at::Tensor> Decoder::forward_together(const std::vector<ForwardPart>& parts) const {
  HOLDFAST_CHECK(listeners_.empty());
  std::vector<at::Tensor> ids;
  std::vector<Layout> layouts;
  std::vector<Run> runs;
  for (const auto& part : parts) {
    const Decoder& decoder = *part.decoder;
    HOLDFAST_CHECK(decoder.listeners_.empty() && has_weights_of(decoder));
    HOLDFAST_CHECK(part.ids.size(0) == std::accumulate(part.lengths.begin(), part.lengths.end(), part.prefix));
    ids.push_back(part.ids);
    layouts.push_back(part.prefix > 0 ? layouts_->shared(part.prefix, part.lengths) : layouts_->packed(part.lengths, nullptr));
    runs.push_back({part.ids.size(0), &decoder.adapters_});
  }
  const Layout layout = LayoutMaker::together(std::move(layouts), spans_of(runs, device()));
  HOLDFAST_CHECK(layout.spans.each.size() == parts.size());  // no decoder twice
  const bool checkpoints =
      std::any_of(parts.begin(), parts.end(), [](const ForwardPart& part) { return part.decoder->checkpoints_; });
  return through_blocks(at::cat(ids), layout, nullptr, 0, checkpoints).split_with_sizes(layout.spans.counts());
}

std::vector<at::Tensor> Decoder::states(const at::Tensor& ids, const std::vector<std::int64_t>& lengths,
                                        const std::vector<std::int64_t>& layers) const {
  HOLDFAST_CHECK(ids.size(0) == std::accumulate(lengths.begin(), lengths.end(), std::int64_t{0}));
  const Layout layout = layouts_->packed(lengths, nullptr);
  std::vector<at::Tensor> asked(layers.size());
  const auto keep = [&](std::size_t layer, const at::Tensor& state) {
    for (std::size_t i = 0; i < layers.size(); ++i) {
      if (layers[i] == static_cast<std::int64_t>(layer)) asked[i] = state.to(device());
    }
  };
  const auto asked_for = [&](std::size_t layer) {
    return std::count(layers.begin(), layers.end(), static_cast<std::int64_t>(layer)) > 0;
  };
  const auto last = static_cast<std::size_t>(layers.empty() ? 0 : *std::max_element(layers.begin(), layers.end()));
  Walk walk(layout, embed(ids));
  keep(0, walk.state);
  for (std::size_t l = 0; l < last; ++l) {
    walk.cross(blocks_[l].q.weight.device());
    walk.state = through_block(l, walk.state, walk.layout(), std::nullopt, checkpoints_ && !asked_for(l));
    keep(l + 1, walk.state);
  }
  count_pass(walk.state, ids.size(0), static_cast<double>(last) / static_cast<double>(blocks_.size()));
  return asked;
}

at::Tensor logits_of(const at::Tensor& hidden, const at::Tensor& head, double cap) {
  const at::Tensor out = counted_linear(hidden, head);
  return cap > 0 ? capped(out, cap) : out;
}

at::Tensor Decoder::logits(const at::Tensor& hidden) const {
  if (packed() == nullptr) return logits_of(hidden, head_, config_.logit_cap);
  const at::Tensor out = counted_linears(hidden, packed()->head());
  return config_.logit_cap > 0 ? capped(out, config_.logit_cap) : out;
}

KvCache Decoder::new_cache(std::int64_t batch, std::int64_t capacity) const {
  KvCache cache;
  cache.lengths.assign(batch, 0);
  const bool by_token = flash_serves(config_, embedding_.options());
  for (std::int64_t l = 0; l < config_.layers; ++l) {
    const auto options = blocks_[static_cast<std::size_t>(l)].q.weight.options();
    for (auto* tensors : {&cache.keys, &cache.values}) {
      tensors->push_back(by_token ? at::zeros({batch, capacity, config_.kv_heads, config_.head_width}, options).transpose(1, 2)
                                  : at::zeros({batch, config_.kv_heads, capacity, config_.head_width}, options));
    }
  }
  return cache;
}

std::vector<const Linear*> Decoder::linears(std::int64_t layer) const {
  return blocks_[static_cast<std::size_t>(layer)].linears();
}

const Linear* Decoder::find_linear(const std::string& name) const {
  for (std::int64_t l = 0; l < config_.layers; ++l) {
    for (const Linear* linear : linears(l)) {
      if (name == linear->module + ".weight") return linear;
    }
  }
  return nullptr;
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

std::unique_ptr<Decoder> Decoder::share() const {
  HOLDFAST_CHECK(adapters_.empty());
  return on_same_weights();
}

std::unique_ptr<Decoder> Decoder::merged() const {
  auto whole = on_same_weights();
  whole->set_adapters(adapters_, adapter_options_, "the merged model");
  whole->merge_adapters();
  return whole;
}

// The other's tensors are its own, the memory is not: whether one of them has gradients is nothing to the other.
std::unique_ptr<Decoder> Decoder::on_same_weights() const {
  NamedTensors same;
  for (const auto& [name, tensor] : weights_) {
    same[name] = tensor.detach();
    shared_.insert(name);
  }
  auto other = std::make_unique<Decoder>(config_, std::move(same), "the shared model");
  other->shared_ = shared_;
  return other;
}

bool Decoder::has_weights_of(const Decoder& other) const {
  return std::equal(weights_.begin(), weights_.end(), other.weights_.begin(), other.weights_.end(),
                    [](const auto& a, const auto& b) {
                      return a.first == b.first && a.second.const_data_ptr() == b.second.const_data_ptr();
                    });
}

// To be linked again behind it. What was packed is of the weights as they were.
at::Tensor& Decoder::unshared(const std::string& name) {
  HOLDFAST_CHECK(packed_ == nullptr);
  at::Tensor& weight = weights_.at(name);
  if (shared_.erase(name) > 0) weight = weight.detach().clone();
  return weight;
}

void Decoder::own_weights(const std::set<std::string>& names) {
  HOLDFAST_CHECK(packed_ == nullptr);
  if (std::none_of(names.begin(), names.end(), [&](const std::string& name) { return shared_.contains(name); })) return;
  for (const auto& name : names) unshared(name);
  link_weights();
}

at::Tensor Decoder::own_weight(const std::string& name) {
  own_weights({name});
  return weights_.at(name);
}

std::uint64_t Decoder::own_bytes() const {
  std::uint64_t bytes = 0;
  for (const auto& [name, tensor] : weights_) bytes += shared_.contains(name) ? 0 : tensor.nbytes();
  return bytes;
}

}  // namespace holdfast
