// The decoder of the Llama family and its kin (Mistral, Qwen, Gemma): RMSNorm, rotary positions, grouped-query attention, a
// gated feed-forward, tied or untied head. ModelConfig says what an architecture adds; what it does not ask for costs no
// operation. Letters in shape comments: N packed tokens, B sequences, T longest sequence, C width, H heads, G KV heads, D head
// width, V vocabulary.
#pragma once

#include <ATen/core/Tensor.h>
#include <holdfast/model.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "model/config.h"
#include "model/kv_cache.h"

namespace holdfast {

/// A low-rank update of a linear: W + scale * B A (Hu et al. 2021, arXiv 2106.09685).
struct LoraFactors {
  at::Tensor a;      // (rank, in)
  at::Tensor b;      // (out, rank)
  double scale = 1;  // alpha / rank
};

struct LoraOptions {
  std::int64_t rank = 16;
  double alpha = 32;
  std::vector<std::string> targets;  // "q_proj", ...; empty: all seven linears of a block
};

/// Tensors by their names in a Hugging Face checkpoint ("model.layers.0.self_attn.q_proj.weight").
using NamedTensors = std::map<std::string, at::Tensor>;

class Decoder {
 public:
  /// Takes the tensors as they are: one device, one floating dtype. Throws Error naming `source` for a missing, surplus or
  /// wrongly shaped tensor.
  Decoder(const ModelConfig& config, NamedTensors weights, const std::string& source);

  /// Weights drawn from N(0, 0.02), norms that keep their input, biases zero; float32 on the CPU.
  static NamedTensors random_weights(const ModelConfig& config, std::uint64_t seed);

  /// Hidden states after the final norm, (N, C), of sequences packed one after another; ids (N) int64, lengths sum to N. With a
  /// cache the tokens continue its sequences and are added to it: either every sequence has the same cached length, or
  /// every sequence brings one token.
  at::Tensor forward(const at::Tensor& ids, const std::vector<std::int64_t>& lengths, KvCache* cache = nullptr);
  /// The same for sequences that begin with the same tokens, which are given once: ids hold `prefix` tokens, then what follows
  /// them in each sequence (lengths, at least 1 each). Equal to forward() of the whole sequences, values and gradients, at
  /// the cost of the distinct tokens; returns the states of ids in their order.
  at::Tensor forward_shared(const at::Tensor& ids, std::int64_t prefix, const std::vector<std::int64_t>& lengths);
  /// (n, C) -> (n, V), in the model's dtype.
  at::Tensor logits(const at::Tensor& hidden) const;

  /// An empty cache for B sequences of up to `capacity` tokens.
  KvCache new_cache(std::int64_t batch, std::int64_t capacity) const;

  const ModelConfig& config() const { return config_; }
  const NamedTensors& weights() const { return weights_; }
  at::Device device() const { return weights_.begin()->second.device(); }
  at::ScalarType dtype() const { return weights_.begin()->second.scalar_type(); }
  AttentionTaps& taps() { return taps_; }

  /// Adds fresh adapters: A uniform in +-1/sqrt(in), B zero (as peft does). None may be present. Throws Error for an unknown
  /// target.
  void add_adapters(const LoraOptions& options, std::uint64_t seed);
  /// Takes given factors, by module name ("model.layers.0.self_attn.q_proj"). Throws Error naming `source` for a wrong shape or
  /// name.
  void set_adapters(std::map<std::string, LoraFactors> factors, const LoraOptions& options, const std::string& source);
  /// Adds every adapter into its weight and removes it.
  void merge_adapters();
  const std::map<std::string, LoraFactors>& adapters() const { return adapters_; }
  const LoraOptions& adapter_options() const { return adapter_options_; }

  /// Marks what training changes: the adapters when there are any, else all weights. False: nothing.
  void require_gradients(bool on);
  /// By checkpoint name; an adapter's factors are "<module>.lora_A.weight" and "<module>.lora_B.weight".
  NamedTensors trainable() const;

  std::unique_ptr<Decoder> clone() const;

 private:
  struct Linear {
    std::string module;              // key into adapters_
    at::Tensor weight;               // (out, in)
    std::optional<at::Tensor> bias;  // (out)
    const LoraFactors* lora = nullptr;
    at::Tensor operator()(const at::Tensor& x) const;
  };
  struct Block {
    at::Tensor attention_norm, feed_forward_norm;  // (C)
    Linear q, k, v, o, gate, up, down;
    // Undefined where the architecture has no such norm.
    at::Tensor query_norm, key_norm;                           // (D)
    at::Tensor after_attention_norm, after_feed_forward_norm;  // (C)
    bool sliding = false;
  };
  struct View;
  struct Layout;

  Block make_block(std::int64_t layer) const;
  Layout place(const std::vector<std::int64_t>& lengths, const std::vector<std::int64_t>& starts) const;
  Layout layout(const std::vector<std::int64_t>& lengths, const KvCache* cache) const;
  Layout shared_layout(std::int64_t prefix, const std::vector<std::int64_t>& lengths) const;
  void set_views(Layout& layout) const;
  View view(const Layout& layout, const at::Tensor& frequencies, std::int64_t window) const;
  at::Tensor blocks(const at::Tensor& ids, const Layout& layout, KvCache* cache);
  at::Tensor attention(std::size_t layer, const at::Tensor& x, const Layout& layout, KvCache* cache);
  at::Tensor attend_shared(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const Layout& layout,
                           const View& view) const;
  static at::Tensor remember(at::Tensor& stored, const at::Tensor& fresh, const Layout& layout);
  at::Tensor spread(const at::Tensor& packed, const Layout& layout) const;
  at::Tensor collect(const at::Tensor& heads, const Layout& layout) const;
  at::Tensor attend(const at::Tensor& q, at::Tensor k, at::Tensor v, const at::Tensor& mask, bool single) const;
  at::Tensor mix(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const at::Tensor& mask) const;
  at::Tensor feed_forward(const Block& block, const at::Tensor& x) const;
  at::Tensor norm(const at::Tensor& x, const at::Tensor& weight) const;
  void link_adapters();
  std::vector<Linear*> linears();

  ModelConfig config_;
  NamedTensors weights_;
  std::map<std::string, LoraFactors> adapters_;
  LoraOptions adapter_options_;
  at::Tensor embedding_, final_norm_, head_;
  std::vector<Block> blocks_;
  at::Tensor embedding_scale_;                    // () in the model's dtype; undefined: one
  at::Tensor frequencies_, sliding_frequencies_;  // (D / 2) float64, radians a position
  AttentionTaps taps_;
};

}  // namespace holdfast
