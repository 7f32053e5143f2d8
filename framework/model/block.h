// One block of the decoder: attention and feed-forward, each normed before and in some architectures behind. Letters of shapes:
// decoder.h.
#pragma once

#include <holdfast/model.h>

#include "model/attention.h"
#include "model/linear.h"
#include "model/packed_weights.h"

namespace holdfast {

/// "q_proj", ...: the linears of a block, in the order of Block::linears.
extern const std::vector<std::string> kLinearNames;

/// The sites of one block, for whoever listens there.
struct Sites {
  const Listeners* listeners = nullptr;  // null: nobody
  std::int64_t layer = 0;
  const Spans* spans = nullptr;  // of the forward's layout

  at::Tensor operator()(Site site, const at::Tensor& value) const {
    return listeners == nullptr ? value : listeners->pass(site, layer, value);
  }
  /// The linear of what stands at its input.
  at::Tensor through(const Linear& linear, const at::Tensor& x) const {
    return linear(listeners == nullptr ? x : listeners->pass(Site::kLinearInput, layer, x, linear.name()), *spans);
  }
};

struct Block {
  at::Tensor attention_norm, feed_forward_norm;  // (C)
  Linear q, k, v, o, gate, up, down;
  // Undefined where the architecture has no such norm.
  at::Tensor query_norm, key_norm;                           // (D)
  at::Tensor after_attention_norm, after_feed_forward_norm;  // (C)
  bool sliding = false;

  /// From the tensors of a checkpoint that check_shapes has seen.
  Block(const ModelConfig& config, const NamedTensors& weights, std::int64_t layer);

  /// The state (N, C) behind the block, from that before it. packed: null, or what its linears are multiplied by.
  at::Tensor operator()(const ModelConfig& config, const at::Tensor& state, const Layout& layout,
                        const std::optional<CachedLayer>& cache, const Sites& sites, const PackedBlock* packed) const;

  std::vector<Linear*> linears() { return {&q, &k, &v, &o, &gate, &up, &down}; }
  std::vector<const Linear*> linears() const { return {&q, &k, &v, &o, &gate, &up, &down}; }
  /// All that a forward of these spans uses and training may change: weights, biases, norms and the factors of adapters.
  std::vector<at::Tensor> tensors(const Spans& spans) const;

 private:
  at::Tensor attention(const ModelConfig& config, const at::Tensor& x, const Layout& layout,
                       const std::optional<CachedLayer>& cache, const Sites& sites, const PackedBlock* packed) const;
  at::Tensor feed_forward(const ModelConfig& config, const at::Tensor& x, const Layout& layout, const Sites& sites,
                          const PackedBlock* packed) const;
};

/// RMSNorm as the architecture has it; with an undefined weight x itself.
at::Tensor norm(const ModelConfig& config, const at::Tensor& x, const at::Tensor& weight);

}  // namespace holdfast
