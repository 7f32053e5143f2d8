// A language model as stages see it: text in, tensors and text out.
#pragma once

#include <ATen/core/Tensor.h>
#include <holdfast/dataset.h>

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace HOLDFAST_PUBLIC holdfast {

/// Token ids of one rendered conversation. label[i] says whether token i is learned: the model has to write it after the prompt
/// that asks for the assistant's turn, one whose Message is learned. These are all tokens that show something of the turn's
/// content, also the first one where the template's space joins it ("▁Sure"), and those up to the end-of-turn token behind it.
struct Encoded {
  std::vector<std::int64_t> ids;
  std::vector<bool> label;
};

/// Examples packed one after another, without padding.
struct Batch {
  at::Tensor ids;                     // (N) int64, all examples' tokens
  std::vector<std::int64_t> lengths;  // tokens of each example; they sum to N
  at::Tensor target_rows;             // (L) int64, rows of the (N, C) hidden states that predict a label token
  at::Tensor target_ids;              // (L) int64, those label tokens
  std::int64_t shared_prefix = 0;     // leading tokens that all examples have in common; 0 for a single example
  double normalizer = 0;              // label tokens of the whole optimizer batch, of which this may be one micro-batch
  at::Tensor target_weights;          // (L) float32, what each label token counts in the loss; undefined: one each
  at::Tensor target_example;          // (L) int64, the example that it belongs to, from 0
  at::Tensor target_place;            // (L) int64, its place among the label tokens of its reply, from 0 in each turn
  std::vector<std::int64_t> rows;     // the dataset row of each example, -1 where there is none; empty: not known
};

/// Where in the decoder one may listen, and what stands there; N packed tokens, C width, D head width.
enum class Site {
  kBlock,        // the residual stream behind a block, (N, C)
  kAttention,    // the output of the attention block, after its output projection, (N, C)
  kFeedForward,  // the output of the feed-forward block, after its down projection, (N, C)
  kLinearInput,  // the input of the linear of that name ("down_proj"), (N, in); at() is one for all that read it (q, k and v)
  kQuery,        // queries after rotary positions, (N, heads, D)
  kKey,          // keys after rotary positions, (N, key-value heads, D)
};

class Model;

/// Listens at a site of some layers, and moves what stands there: a guard, with whose end both end. The model must outlive it.
/// Several may be on one site: each sees what the model computed there, before any offset, and the offsets of all are added, in
/// the order in which the guards were made. Costs nothing but the memory of the tensors that are kept alive. While anyone
/// listens, forwards keep each example's own copy of a common prefix (Batch::shared_prefix), so that each can be moved by
/// itself; with that exception an offset of zero changes no bit.
/// Vaccine (arXiv 2402.01109), RepNoise (2405.14577), LDIFS, Antidote (2408.09600), RSN-Tune, Surgery (2602.05228).
class Taps {
 public:
  /// layers, from 0: empty for all. linear: for kLinearInput alone, and then needed. Throws Error for a layer or a linear that
  /// the model does not have.
  Taps(const Model& model, Site site, std::vector<std::int64_t> layers = {}, std::string linear = "");
  ~Taps();
  Taps(const Taps&) = delete;
  Taps& operator=(const Taps&) = delete;

  /// The layers listened to, in the order given.
  const std::vector<std::int64_t>& layers() const { return layers_; }
  /// What the last forward computed in that layer, without offsets, with its graph (it has none where nothing that stands
  /// before it is trained, as at the first query with LoRA: an offset that requires a gradient has one everywhere). Throws
  /// Error for a layer that is not listened to, and when no forward ran since the guard was made.
  const at::Tensor& at(std::int64_t layer) const;
  /// at() of all layers().
  std::vector<at::Tensor> all() const;
  /// Added there in every forward from here on, with its graph; in the shape of what stands there, or one that broadcasts to it
  /// ((C), a steering vector). It takes the place of the former one; an undefined tensor takes it back.
  void offset(std::int64_t layer, at::Tensor by);

 private:
  friend class Listeners;
  std::size_t index_of(std::int64_t layer) const;

  const Model& model_;
  Site site_;
  std::vector<std::int64_t> layers_;
  std::string linear_;
  std::vector<at::Tensor> seen_, offsets_;  // by place in layers_
};

/// For whoever implements a Model: the taps that are on it.
class Listeners {
 public:
  bool empty() const { return taps_.empty(); }
  /// Whether anyone listens in that layer, at any site.
  bool listen_in(std::int64_t layer) const;
  /// To be called with what stands at a site; returns what is to go on there. linear: of a kLinearInput.
  at::Tensor pass(Site site, std::int64_t layer, const at::Tensor& value, std::string_view linear = {}) const;

 private:
  friend class Taps;
  std::vector<Taps*> taps_;
};

/// How replies are decoded.
struct GenerateOptions {
  std::int64_t max_new_tokens = 64;
  std::int64_t batch_size = 16;
  double temperature = 0;  // 0 is greedy
  double top_p = 1;
  std::uint64_t seed = 0;
};

/// One reply as it was generated.
struct Generated {
  /// Decoded without special tokens, but with all of them where one is the mark of a thought ("[THINK]"); after the mark of the
  /// thought that the chat template opened in the prompt, if it did ("<think>\n"). So thought and answer can be told apart.
  std::string text;
  std::vector<std::int64_t> ids;  // without the stop token
  bool cut = false;               // max_new_tokens ended the reply, and not a stop token
};

/// Decoder weights with their tokenizer and chat template. Implemented by the language-model core; plugins receive one. What is
/// asked of a const Model leaves it as it is; a model that stages share comes as one.
class Model {
 public:
  virtual ~Model();

  virtual std::int64_t layers() const = 0;
  virtual std::int64_t width() const = 0;
  virtual at::Device device() const = 0;

  /// Renders the whole conversation once, tokenizes it once, and keeps at most max_length tokens (0: all). Where a template
  /// takes no system turn, its text stands before that of the first user turn.
  virtual Encoded encode(const Conversation& conversation, std::int64_t max_length = 0) const = 0;
  /// Ids of the conversation with the generation prompt appended.
  virtual std::vector<std::int64_t> encode_prompt(const Conversation& conversation) const = 0;
  /// Packs encoded examples; the normalizer is their own number of labels.
  virtual Batch pack(const std::vector<Encoded>& examples) const = 0;

  /// Hidden states after the final norm, (N, C).
  virtual at::Tensor hidden(const Batch& batch) const = 0;
  /// The residual stream, (N, C) for each of `layers`, in their order and with graph: 0 is the embedding, l stands behind block
  /// l, counted from 1. One forward, as far as the last of them. Throws Error for a layer that the model does not have.
  /// CRL (arXiv 2506.11938), RepNoise (2405.14577), LARF.
  virtual std::vector<at::Tensor> states(const Batch& batch, const std::vector<std::int64_t>& layers) const = 0;
  /// Logits (n, V), in at least float32 and with graph, of states (n, C) of any layer: the final norm, then the head.
  /// RepNoise (arXiv 2405.14577).
  virtual at::Tensor head(const at::Tensor& state) const = 0;
  /// What each token of each example makes of those before it, (heads, T, T) in at least float32, with graph: rows are queries
  /// and sum to one. queries and keys: what taps at kQuery and kKey hold of that layer after a forward of the batch.
  /// Surgery (arXiv 2602.05228).
  virtual std::vector<at::Tensor> attention_shares(const Batch& batch, std::int64_t layer, const at::Tensor& queries,
                                                   const at::Tensor& keys) const = 0;
  /// Log-probabilities (natural) of the label tokens, (L) float32. One forward; logits only where a label is predicted.
  virtual at::Tensor log_probs(const Batch& batch) const = 0;
  /// Those of the whole vocabulary where a label token is predicted, (L, V) float32, with graph. TAR (arXiv 2408.00761).
  virtual at::Tensor next_log_probs(const Batch& batch) const = 0;
  /// KL(reference || this model) in nats, of the next token's distribution where a label token is predicted, (L) float32. The
  /// gradient goes to this model alone, and can be taken once (no second derivatives). Costs a forward of each; rows are taken
  /// in chunks, again in the backward pass, so that (L, V) is never held. Throws Error for a reference of another vocabulary.
  /// The KL anchor (git-disl), adaptive KL (arXiv 2602.17546), SafeGrad. Every position: encode with all labels set.
  virtual at::Tensor kl(const Batch& batch, const Model& reference) const = 0;
  /// Log-probabilities (natural) of each conversation's label tokens, in their order, without graph; none for a conversation
  /// that teaches nothing. Constrained SFT (arXiv 2406.05946) asks a reference once.
  virtual std::vector<std::vector<double>> reply_log_probs(const std::vector<Conversation>& conversations) const = 0;
  /// Mean over all tokens of each conversation's final hidden states, (B, C) float32, without gradient, of the weights as they
  /// are now. The same conversations in the same order give the same bits.
  virtual at::Tensor mean_hidden(const std::vector<Conversation>& conversations) const = 0;

  /// Replies, in the order of the prompts.
  virtual std::vector<Generated> generate(const std::vector<Conversation>& prompts, const GenerateOptions& options) const = 0;

  /// What training changes, by checkpoint name: all weights, or the LoRA factors.
  virtual std::map<std::string, at::Tensor> trainable() = 0;
  /// All weights by checkpoint name ("model.layers.0.self_attn.q_proj.weight"), without graph, with what adapters add to them.
  /// To be read only: where no adapter is, they are the model's own memory.
  virtual std::map<std::string, at::Tensor> weights() const = 0;
  /// The names of the weights of a block's linears, in the order of the forward; block from 0. Repairs go by them.
  virtual std::vector<std::string> linears(std::int64_t block) const = 0;
  /// One weight as the forward uses it: W, or W + (alpha / rank) B A with an adapter's graph. Throws Error for an unknown name.
  /// AsFT, Safe LoRA (arXiv 2405.16833).
  virtual at::Tensor effective_weight(const std::string& name) const = 0;
  /// Gives a weight other values; the next forward uses them. For repairs, not for steps: in 16 bits the optimizer has masters
  /// of its own. Throws Error for an unknown name, another shape, values that are not finite, and a weight with an adapter, in
  /// which other values cannot be held: move its factors (trainable()) there.
  virtual void set_weight(const std::string& name, const at::Tensor& values) = 0;
  /// A deep copy with its adapters, which may be changed and trained; nobody listens to it. RESTA, TAR.
  virtual std::unique_ptr<Model> clone() const = 0;

  /// For Taps.
  virtual Listeners& listeners() const = 0;
};

}  // namespace holdfast
