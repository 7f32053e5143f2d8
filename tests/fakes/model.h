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
  AttentionTaps& attention_taps() override { return taps; }
  std::map<std::string, at::Tensor> trainable() override { return {}; }

  /// What the test chose for that text.
  std::vector<float> hidden(const std::string& user_text) const { return hidden_(user_text); }

  AttentionTaps taps;
  mutable std::size_t asked = 0;  // conversations that went through mean_hidden

 private:
  Hidden hidden_;
};

}  // namespace holdfast::fakes
