// A Model whose hidden states a test chooses, and that cannot do anything else.
#pragma once

#include <ATen/ATen.h>
#include <holdfast/model.h>

#include <functional>
#include <stdexcept>

namespace holdfast::fakes {

class FakeModel : public Model {
 public:
  using Hidden = std::function<std::vector<float>(const std::string& user_text)>;
  explicit FakeModel(Hidden hidden = {}) : hidden_(std::move(hidden)) {}

  std::int64_t layers() const override { return 2; }
  std::int64_t width() const override { throw std::logic_error("width"); }
  at::Device device() const override { return at::kCPU; }
  Encoded encode(const Conversation&, std::int64_t) const override { throw std::logic_error("encode"); }
  std::vector<std::int64_t> encode_prompt(const Conversation&) const override { throw std::logic_error("encode_prompt"); }
  Batch pack(const std::vector<Encoded>&) const override { throw std::logic_error("pack"); }
  at::Tensor hidden(const Batch&) const override { throw std::logic_error("hidden"); }
  at::Tensor log_probs(const Batch&) const override { throw std::logic_error("log_probs"); }
  at::Tensor mean_hidden(const std::vector<Conversation>& conversations) const override {
    asked += conversations.size();
    std::vector<at::Tensor> rows;
    for (const auto& conversation : conversations) rows.push_back(at::tensor(hidden_(last_content(conversation, "user"))));
    return at::stack(rows);
  }
  std::vector<Generated> generate(const std::vector<Conversation>&, const GenerateOptions&) const override {
    throw std::logic_error("generate");
  }
  std::vector<at::Tensor> states(const Batch&, const std::vector<std::int64_t>&) const override {
    throw std::logic_error("states");
  }
  at::Tensor head(const at::Tensor&) const override { throw std::logic_error("head"); }
  std::vector<at::Tensor> attention_shares(const Batch&, std::int64_t, const at::Tensor&, const at::Tensor&) const override {
    throw std::logic_error("attention_shares");
  }
  at::Tensor next_log_probs(const Batch&) const override { throw std::logic_error("next_log_probs"); }
  at::Tensor kl(const Batch&, const Model&) const override { throw std::logic_error("kl"); }
  std::vector<std::vector<double>> reply_log_probs(const std::vector<Conversation>&) const override {
    throw std::logic_error("reply_log_probs");
  }
  std::map<std::string, at::Tensor> weights() const override { throw std::logic_error("weights"); }
  std::vector<std::string> linears(std::int64_t) const override { return {}; }
  at::Tensor effective_weight(const std::string&) const override { throw std::logic_error("effective_weight"); }
  void set_weight(const std::string&, const at::Tensor&) override { throw std::logic_error("set_weight"); }
  std::unique_ptr<Model> clone() const override { throw std::logic_error("clone"); }
  Listeners& listeners() const override { return taps; }
  std::map<std::string, at::Tensor> trainable() override { return {}; }

  /// What the test chose for that text.
  std::vector<float> hidden(const std::string& user_text) const { return hidden_(user_text); }

  mutable Listeners taps;         // a test's network asks them at its sites
  mutable std::size_t asked = 0;  // conversations that went through mean_hidden

 private:
  Hidden hidden_;
};

}  // namespace holdfast::fakes
