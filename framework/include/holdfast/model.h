// A language model as stages see it: text in, tensors and text out.
#pragma once

#include <ATen/core/Tensor.h>
#include <holdfast/dataset.h>

#include <cstdint>
#include <map>
#include <memory>
#include <string>
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
  at::Tensor target_weights;          // (L) float32, of each label's term in the loss; undefined: ones
  std::vector<std::int64_t> rows;     // the dataset row of each example; empty outside a training
  double normalizer = 0;              // label tokens of the whole optimizer batch, of which this may be one micro-batch
};

/// Where a step listens to, and perturbs, the output of each attention block (after its output projection), (N, C) a layer.
/// While `capture` is set a forward fills `outputs`; a defined `offsets[l]` is added to layer l's output.
struct AttentionTaps {
  bool capture = false;
  std::vector<at::Tensor> outputs;
  std::vector<at::Tensor> offsets;
};

struct GenerateOptions {
  std::int64_t max_new_tokens = 64;
  std::int64_t batch_size = 16;
  double temperature = 0;  // 0 is greedy
  double top_p = 1;
  std::uint64_t seed = 0;
};

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
  /// Log-probabilities (natural) of the label tokens, (L) float32. One forward; logits only where a label is predicted.
  virtual at::Tensor log_probs(const Batch& batch) const = 0;
  /// Mean over all tokens of each conversation's final hidden states, (B, C) float32, without gradient, of the weights as they
  /// are now. The same conversations in the same order give the same bits.
  virtual at::Tensor mean_hidden(const std::vector<Conversation>& conversations) const = 0;

  /// Replies, in the order of the prompts.
  virtual std::vector<Generated> generate(const std::vector<Conversation>& prompts, const GenerateOptions& options) const = 0;

  virtual AttentionTaps& attention_taps() = 0;
  /// What training changes, by checkpoint name: all weights, or the LoRA factors.
  virtual std::map<std::string, at::Tensor> trainable() = 0;
};

}  // namespace holdfast
