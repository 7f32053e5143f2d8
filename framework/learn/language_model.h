// Decoder + tokenizer + chat template: the Model that everything above trains and asks.
#pragma once

#include <holdfast/model.h>

#include <exception>

#include "learn/decoding_rules.h"
#include "learn/predictor.h"
#include "model/decoder.h"
#include "text/chat_template.h"
#include "text/tokenizer.h"

namespace holdfast {

class ReplyListener;

/// Tokens of one forward when only states or log-probabilities are wanted: enough to keep the cores busy, little enough to stay
/// in cache.
inline constexpr std::size_t kForwardTokens = 2048;

/// Texts that travel with a checkpoint and go into an exported folder, by file name: unchanged, but that generation_config.json
/// gets an end of turn that it lacked.
using SideFiles = std::map<std::string, std::string>;

class LanguageModel final : public Model {
 public:
  LanguageModel(std::shared_ptr<Decoder> decoder, std::shared_ptr<const Tokenizer> tokenizer,
                std::shared_ptr<const ChatTemplate> chat, std::vector<std::int64_t> stop_tokens, SideFiles side_files,
                DecodingRules rules = {});
  ~LanguageModel() override;

  std::int64_t layers() const override;
  std::int64_t width() const override;
  at::Device device() const override;
  Encoded encode(const Conversation& conversation, std::int64_t max_length = 0) const override;
  std::vector<std::int64_t> encode_prompt(const Conversation& conversation) const override;
  Batch pack(const std::vector<Encoded>& examples) const override;
  at::Tensor hidden(const Batch& batch) const override;
  at::Tensor log_probs(const Batch& batch) const override;
  /// Minus the sum of log_probs(), each times its target weight (one without weights), divided by batch.normalizer; with graph,
  /// for one derivative. Its gradient is made with it (learn/label_loss.h).
  at::Tensor loss(const Batch& batch) const;
  /// The same of a batch whose predicting states (L, C) are there already.
  at::Tensor loss_of(const at::Tensor& states, const Batch& batch) const;
  at::Tensor mean_hidden(const std::vector<Conversation>& conversations) const override;
  std::vector<Generated> generate(const std::vector<Conversation>& prompts, const GenerateOptions& options) const override;
  std::map<std::string, at::Tensor> trainable() override;
  std::vector<at::Tensor> states(const Batch& batch, const std::vector<std::int64_t>& layers) const override;
  at::Tensor head(const at::Tensor& state) const override;
  std::vector<at::Tensor> attention_shares(const Batch& batch, std::int64_t layer, const at::Tensor& queries,
                                           const at::Tensor& keys) const override;
  at::Tensor next_log_probs(const Batch& batch) const override;
  at::Tensor kl(const Batch& batch, const Model& reference) const override;
  std::vector<std::vector<double>> reply_log_probs(const std::vector<Conversation>& conversations) const override;
  std::map<std::string, at::Tensor> weights() const override;
  std::vector<std::string> linears(std::int64_t block) const override;
  at::Tensor effective_weight(const std::string& name) const override;
  void set_weight(const std::string& name, const at::Tensor& values) override;
  std::unique_ptr<Model> clone() const override { return copy(); }
  Listeners& listeners() const override { return decoder_->listeners(); }

  /// clone(), as what it is: a deep copy of the weights; tokenizer and template are shared.
  std::unique_ptr<LanguageModel> copy() const;
  /// A model without adapters whose weights are this one's with its adapters merged; those that no adapter changes are shared.
  std::unique_ptr<LanguageModel> merged() const;
  /// A model without adapters on the weights of one without; what either of them changes is then its own (Decoder::share).
  std::unique_ptr<LanguageModel> share() const;
  /// The same but for its weights, which are these. Throws Error naming `source` where they do not fit.
  std::unique_ptr<LanguageModel> with_weights(NamedTensors weights, const std::string& source) const;

  struct Predicted {
    const LanguageModel* model;
    const Batch* batch;
  };
  /// For each the states behind the rows that predict a label, (L, C), of models that share their weights, in one forward
  /// (Decoder::forward_together).
  static std::vector<at::Tensor> predicting_states(const std::vector<Predicted>& together);

  struct Questions {
    const LanguageModel* model;
    std::vector<Conversation> prompts;
    GenerateOptions options;
  };
  struct Answers {
    std::vector<Generated> replies;
    std::exception_ptr error;  // an Error instead of them
  };
  /// generate() of several models that are adapters on the same weights, in one stream of batches: each gets the replies that
  /// it gives alone, on a CPU in float32 to the bit, with options of its own. One whose prompts or options are refused leaves
  /// the others alone. The listener is told of each reply as it grows, by the places of questions and prompt.
  static std::vector<Answers> generate_together(const std::vector<Questions>& together, ReplyListener* listener = nullptr);
  /// The reply to a prompt that has these tokens.
  Generated generated(const Conversation& prompt, const GenerateOptions& options, std::vector<std::int64_t> ids) const;

  /// Says that the weights stay as they are from here on, since others share them: nobody can change them any more (a check),
  /// and mean hidden states are remembered.
  void freeze() { frozen_ = true; }

  Decoder& decoder();
  const Decoder& decoder() const { return *decoder_; }
  const Tokenizer& tokenizer() const { return *tokenizer_; }
  /// Throws Error when the checkpoint came without a chat template.
  const ChatTemplate& chat() const;
  /// Those that the checkpoint names, and the end of turn of its chat template (learn/encode.h). A template whose end of turn
  /// is no token is said in a warning.
  const std::vector<std::int64_t>& stop_tokens() const { return stop_tokens_; }
  const SideFiles& side_files() const { return side_files_; }

 private:
  at::Tensor predicting_states(const Batch& batch) const;
  Predictor predictor_of(const at::Tensor& states) const;
  std::vector<at::Tensor> mean_states(const Batch& batch) const;
  at::Tensor mean_states(const std::vector<Conversation>& conversations, const std::vector<std::string>& rendered) const;
  const at::Tensor& weight_of(const std::string& name) const;
  void find_end_of_turn();
  void check_embedded(const std::vector<std::int64_t>& ids) const;

  std::shared_ptr<Decoder> decoder_;
  std::shared_ptr<const Tokenizer> tokenizer_;
  std::shared_ptr<const ChatTemplate> chat_;
  std::vector<std::int64_t> stop_tokens_;
  SideFiles side_files_;
  DecodingRules rules_;
  bool frozen_ = false;
  mutable std::map<std::string, at::Tensor> remembered_;  // of frozen weights: mean hidden states by the conversations' digest
};

}  // namespace holdfast
