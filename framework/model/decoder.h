// The decoder of the Llama family and its kin (Mistral, Qwen, Gemma): RMSNorm, rotary positions, grouped-query attention, a
// gated feed-forward, tied or untied head. ModelConfig says what an architecture adds; what it does not ask for costs no
// operation. Letters in shape comments: N packed tokens, B sequences, T longest sequence, C width, H heads, G KV heads, D head
// width, V vocabulary.
#pragma once

#include <memory>
#include <set>

#include "model/block.h"

namespace holdfast {

class PackedWeights;
class Decoder;

/// What one of several decoders on the same weights brings to a forward of all: ids hold `prefix` tokens, then what follows
/// them in each sequence.
struct ForwardPart {
  const Decoder* decoder = nullptr;  // whose adapters
  at::Tensor ids;                    // (n) int64
  std::int64_t prefix = 0;
  std::vector<std::int64_t> lengths;
};

class Decoder {
 public:
  /// Takes the tensors as they are: one floating dtype, and one device or several, of which each block is on one and all that
  /// belongs to no block on another (Placement). Those that lie in a file stay there until they are changed (share). Throws
  /// Error naming `source` for a missing, surplus or
  /// wrongly shaped tensor.
  Decoder(const ModelConfig& config, NamedTensors weights, const std::string& source);

  /// Weights drawn from N(0, 0.02), norms that keep their input, biases zero; float32 on the CPU.
  static NamedTensors random_weights(const ModelConfig& config, std::uint64_t seed);

  /// Hidden states after the final norm, (N, C), of sequences packed one after another; ids (N) int64, lengths sum to N. With a
  /// cache the tokens continue the sequences of its rows from `first` on and are added to them: either every sequence has the
  /// same cached length, or every sequence brings one token. `spans`: whose adapters the tokens go through, of decoders on
  /// these weights.
  at::Tensor forward(const at::Tensor& ids, const std::vector<std::int64_t>& lengths, KvCache* cache = nullptr,
                     std::int64_t first = 0, const Spans& spans = {}) const;
  /// The same for sequences that begin with the same tokens, which are given once: ids hold `prefix` tokens, then what follows
  /// them in each sequence (lengths, at least 1 each). Equal to forward() of the whole sequences, values and gradients, at
  /// the cost of the distinct tokens; returns the states of ids in their order.
  at::Tensor forward_shared(const at::Tensor& ids, std::int64_t prefix, const std::vector<std::int64_t>& lengths) const;
  /// Of decoders that share this one's weights and have adapters of their own: the frozen products are made once for all rows,
  /// everything else part by part. Gives each part's states, as forward_shared (forward, without a prefix) of its decoder does:
  /// on a CPU in float32 the same bits, values and gradients. Nobody may listen.
  std::vector<at::Tensor> forward_together(const std::vector<ForwardPart>& parts) const;
  /// States of the residual stream, (N, C) each: 0 is the embedding, l stands behind block l, counted from 1. Runs no block
  /// behind the last one that is asked for.
  std::vector<at::Tensor> states(const at::Tensor& ids, const std::vector<std::int64_t>& lengths,
                                 const std::vector<std::int64_t>& layers) const;
  /// The final norm of any block's state.
  at::Tensor final_norm(const at::Tensor& state) const { return norm(config_, state, final_norm_); }
  /// (n, C) -> (n, V), in the model's dtype.
  at::Tensor logits(const at::Tensor& hidden) const;
  /// (V, C)
  const at::Tensor& head() const { return head_; }

  /// An empty cache for B sequences of up to `capacity` tokens.
  KvCache new_cache(std::int64_t batch, std::int64_t capacity) const;

  const ModelConfig& config() const { return config_; }
  const NamedTensors& weights() const { return weights_; }
  /// Where tokens go in and states come out.
  at::Device device() const { return embedding_.device(); }
  at::ScalarType dtype() const { return weights_.begin()->second.scalar_type(); }
  /// Who listens; none of what a forward means to the others.
  Listeners& listeners() const { return listeners_; }
  /// Forwards without graph and listeners multiply by these; null: by the weights. For PackedWeights alone.
  void use_packed(const PackedWeights* packed) const { packed_ = packed; }
  std::vector<const Linear*> linears(std::int64_t layer) const;
  /// The linear with this weight ("model.layers.0.self_attn.q_proj.weight"), or null.
  const Linear* find_linear(const std::string& name) const;

  /// Adds fresh adapters: A uniform in +-1/sqrt(in), B zero (as peft does). None may be present. Throws Error for an unknown
  /// target.
  void add_adapters(const LoraOptions& options, std::uint64_t seed);
  /// Takes given factors, by module name ("model.layers.0.self_attn.q_proj"). Throws Error naming `source` for a wrong shape or
  /// name.
  void set_adapters(Adapters factors, const LoraOptions& options, const std::string& source);
  /// Adds every adapter into its weight and removes it.
  void merge_adapters();
  const Adapters& adapters() const { return adapters_; }
  const LoraOptions& adapter_options() const { return adapter_options_; }

  /// Marks what training changes: the adapters when there are any, else all weights. False: nothing.
  void require_gradients(bool on);
  /// What training changes, by checkpoint name, this decoder's alone: the adapters' factors when there are any, else all
  /// weights.
  NamedTensors trainable();
  /// Of the adapters: "<module>.lora_A.weight" and "<module>.lora_B.weight".
  NamedTensors factors() const;
  /// In forwards that are recorded for a gradient, blocks keep their input only and run again in the backward pass: the same
  /// bits for a third more time. Blocks that someone listens to, or whose input someone reads beside them, keep all. Of
  /// several decoders in one forward, one that asks for it is enough.
  void checkpoint_activations(bool on) { checkpoints_ = on; }

  std::unique_ptr<Decoder> clone() const;
  /// A decoder without adapters on the weights of one without, which cost no memory again. Whichever of the two then merges
  /// adapters, sets a weight or trains all of them gives what it changes memory of its own first.
  std::unique_ptr<Decoder> share() const;
  /// The same of one with adapters, which are merged: the weights that they change are the new decoder's own.
  std::unique_ptr<Decoder> merged() const;
  /// Whether its weights, adapters aside, are the other's, in the same memory.
  bool has_weights_of(const Decoder& other) const;
  /// To be called before weights are changed in place: they are then this decoder's alone.
  void own_weights(const std::set<std::string>& names);
  at::Tensor own_weight(const std::string& name);
  /// Bytes of the weights that are this decoder's alone.
  std::uint64_t own_bytes() const;

 private:
  at::Tensor embed(const at::Tensor& ids) const;
  Sites sites(std::size_t layer, const Layout& layout) const;
  at::Tensor through_blocks(const at::Tensor& ids, const Layout& layout, KvCache* cache, std::int64_t first,
                            bool checkpoints) const;
  at::Tensor through_block(std::size_t layer, const at::Tensor& x, const Layout& layout,
                           const std::optional<CachedLayer>& cached, bool checkpoint) const;
  const PackedWeights* packed() const;
  std::unique_ptr<Decoder> on_same_weights() const;
  void link_weights();
  void link_adapters();
  at::Tensor& unshared(const std::string& name);
  std::vector<Linear*> linears();

  ModelConfig config_;
  NamedTensors weights_;
  Adapters adapters_;
  LoraOptions adapter_options_;
  at::Tensor embedding_, final_norm_, head_;
  std::vector<Block> blocks_;
  at::Tensor embedding_scale_;  // () in the model's dtype; undefined: one
  std::unique_ptr<const LayoutMaker> layouts_;
  mutable std::set<std::string> shared_;  // weights that another decoder has too, or a mapped file
  mutable Listeners listeners_;
  mutable const PackedWeights* packed_ = nullptr;
  bool checkpoints_ = false;
};

/// (n, C) -> (n, V) by a head (V, C); cap 0: none.
at::Tensor logits_of(const at::Tensor& hidden, const at::Tensor& head, double cap);

}  // namespace holdfast
