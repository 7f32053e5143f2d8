// A provider's model as what answers in a generate stage.
#pragma once

#include <holdfast/model.h>

#include <string>

#include "provider/chats.h"

namespace holdfast {

/// It answers; all else that a Model is asked is an Error that says why it cannot be had.
class RemoteModel final : public Model {
 public:
  /// `name`: the provider's, of the tuned model or the base. `refusal`: what a user is shown where the provider's moderation
  /// declines to answer. What is given outlives it.
  RemoteModel(const ProviderSettings& settings, std::string name, SpendLedger& ledger, std::string refusal);

  std::vector<Generated> generate(const std::vector<Conversation>& prompts, const GenerateOptions& options) const override;

  /// Of all that was asked.
  const ChatsCost& asked() const { return asked_; }
  /// Replies so far, and those that the provider declined to give.
  std::int64_t replies() const { return replies_; }
  std::int64_t declined() const { return declined_; }

  std::int64_t layers() const override;
  std::int64_t width() const override;
  at::Device device() const override;
  Encoded encode(const Conversation& conversation, std::int64_t max_length = 0) const override;
  std::vector<std::int64_t> encode_prompt(const Conversation& conversation) const override;
  Batch pack(const std::vector<Encoded>& examples) const override;
  at::Tensor hidden(const Batch& batch) const override;
  std::vector<at::Tensor> states(const Batch& batch, const std::vector<std::int64_t>& layers) const override;
  at::Tensor head(const at::Tensor& state) const override;
  std::vector<at::Tensor> attention_shares(const Batch& batch, std::int64_t layer, const at::Tensor& queries,
                                           const at::Tensor& keys) const override;
  at::Tensor log_probs(const Batch& batch) const override;
  at::Tensor next_log_probs(const Batch& batch) const override;
  at::Tensor kl(const Batch& batch, const Model& reference) const override;
  std::vector<std::vector<double>> reply_log_probs(const std::vector<Conversation>& conversations) const override;
  at::Tensor mean_hidden(const std::vector<Conversation>& conversations) const override;
  std::map<std::string, at::Tensor> trainable() override;
  std::map<std::string, at::Tensor> weights() const override;
  std::vector<std::string> linears(std::int64_t block) const override;
  at::Tensor effective_weight(const std::string& name) const override;
  void set_weight(const std::string& name, const at::Tensor& values) override;
  std::unique_ptr<Model> clone() const override;
  Listeners& listeners() const override;

 private:
  [[noreturn]] void refuse() const;

  const ProviderSettings& settings_;
  std::string name_;
  SpendLedger& ledger_;
  std::string refusal_;
  mutable ChatsCost asked_;
  mutable std::int64_t replies_ = 0, declined_ = 0;
};

}  // namespace holdfast
