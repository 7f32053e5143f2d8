#include "model/block.h"

#include <ATen/ATen.h>

#include "model/decoder_weights.h"
#include "model/flops.h"
#include "model/fused/gated_unit.h"
#include "model/fused/once.h"
#include "model/fused/rms_norm.h"
#include "model/parts.h"
#include "model/rotation.h"

namespace holdfast {
namespace {

// What linears make of one input: each by itself, or all by what was packed of them.
std::vector<at::Tensor> through(const std::vector<const Linear*>& linears, const at::Tensor& x, const Sites& sites,
                                const PackedProduct* packed) {
  std::vector<at::Tensor> made;
  if (packed == nullptr) {
    for (const Linear* linear : linears) made.push_back(sites.through(*linear, x));
    return made;
  }
  const auto products = counted_linears(x, *packed).split_with_sizes(packed->outs(), 1);
  for (std::size_t i = 0; i < linears.size(); ++i) made.push_back(linears[i]->completed(x, products[i], *sites.spans));
  return made;
}

at::Tensor gated_unit(const ModelConfig& config, const Layout& layout, const at::Tensor& gate, const at::Tensor& up) {
  if (fused::serves(gate)) return fused::gated_unit(gate, up, config.gelu);
  const auto opened = [&](const at::Tensor& rows) { return config.gelu ? at::gelu(rows, "tanh") : at::silu(rows); };
  return by_part(layout, gate, opened) * up;
}

}  // namespace

const std::vector<std::string> kLinearNames = {"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"};

at::Tensor norm(const ModelConfig& config, const at::Tensor& x, const at::Tensor& weight) {
  if (!weight.defined()) return x;
  if (fused::serves(x)) return fused::rms_norm(x, weight, config.norm_eps, config.offset_norms ? 1 : 0);
  if (!config.offset_norms) return at::rms_norm(x, weight.sizes(), weight, config.norm_eps);
  // In float32, for one and a small offset do not fit into 16 bits together.
  const at::ScalarType wide = at::promote_types(x.scalar_type(), at::kFloat);
  return at::rms_norm(x.to(wide), weight.sizes(), weight.to(wide) + 1, config.norm_eps).to(x.scalar_type());
}

// A tensor is there exactly when the architecture has it.
Block::Block(const ModelConfig& config, const NamedTensors& weights, std::int64_t layer) {
  const std::string at = layer_name(layer);
  const auto tensor = [&](const std::string& name) {
    const auto found = weights.find(at + name);
    return found == weights.end() ? at::Tensor() : found->second;
  };
  const auto linear = [&](const std::string& module) {
    const at::Tensor bias = tensor(module + ".bias");
    return Linear{at + module, tensor(module + ".weight"), bias.defined() ? std::optional(bias) : std::nullopt};
  };
  attention_norm = tensor("input_layernorm.weight");
  feed_forward_norm = tensor(config.outer_norms ? "pre_feedforward_layernorm.weight" : "post_attention_layernorm.weight");
  q = linear("self_attn.q_proj");
  k = linear("self_attn.k_proj");
  v = linear("self_attn.v_proj");
  o = linear("self_attn.o_proj");
  gate = linear("mlp.gate_proj");
  up = linear("mlp.up_proj");
  down = linear("mlp.down_proj");
  query_norm = tensor("self_attn.q_norm.weight");
  key_norm = tensor("self_attn.k_norm.weight");
  if (config.outer_norms) after_attention_norm = tensor("post_attention_layernorm.weight");
  after_feed_forward_norm = tensor("post_feedforward_layernorm.weight");
  sliding = config.is_sliding(layer);
}

std::vector<at::Tensor> Block::tensors(const Spans& spans) const {
  std::vector<at::Tensor> all;
  for (const Linear* linear : linears()) {
    all.push_back(linear->weight);
    if (linear->bias) all.push_back(*linear->bias);
    for (const LoraFactors* lora : linear->factors(spans)) {
      if (lora != nullptr) all.insert(all.end(), {lora->a, lora->b});
    }
  }
  for (const auto& each :
       {attention_norm, feed_forward_norm, query_norm, key_norm, after_attention_norm, after_feed_forward_norm}) {
    if (each.defined()) all.push_back(each);
  }
  return all;
}

at::Tensor Block::operator()(const ModelConfig& config, const at::Tensor& state, const Layout& layout,
                             const std::optional<CachedLayer>& cache, const Sites& sites, const PackedBlock* packed) const {
  at::Tensor x = state;
  x = x + norm(config, attention(config, norm(config, x, attention_norm), layout, cache, sites, packed), after_attention_norm);
  x = x +
      norm(config, feed_forward(config, norm(config, x, feed_forward_norm), layout, sites, packed), after_feed_forward_norm);
  return sites(Site::kBlock, x);
}

at::Tensor Block::attention(const ModelConfig& config, const at::Tensor& x, const Layout& layout,
                            const std::optional<CachedLayer>& cache, const Sites& sites, const PackedBlock* packed) const {
  const auto made = through({&q, &k, &v}, x, sites, packed == nullptr ? nullptr : &packed->query_key_value);
  const auto heads_of = [&](std::size_t i) { return made[i].view({x.size(0), -1, config.head_width}); };
  const View& view = sliding ? layout.sliding : layout.full;
  const at::Tensor queries = sites(Site::kQuery, rotated(norm(config, heads_of(0), query_norm), view.cos, view.sin));
  const at::Tensor keys = sites(Site::kKey, rotated(norm(config, heads_of(1), key_norm), view.cos, view.sin));
  const at::Tensor mixed = layout.parts.empty() ? attend(config, queries, keys, heads_of(2), layout, view, cache)
                                                : attend_parts(config, queries, keys, heads_of(2), layout, sliding);
  return sites(Site::kAttention, through({&o}, mixed, sites, packed == nullptr ? nullptr : &packed->output)[0]);
}

at::Tensor Block::feed_forward(const ModelConfig& config, const at::Tensor& x, const Layout& layout, const Sites& sites,
                               const PackedBlock* packed) const {
  const auto made = through({&gate, &up}, x, sites, packed == nullptr ? nullptr : &packed->gate_up);
  const at::Tensor gated = gated_unit(config, layout, made[0], made[1]);
  return sites(Site::kFeedForward, through({&down}, gated, sites, packed == nullptr ? nullptr : &packed->down)[0]);
}

}  // namespace holdfast
