// The weights of a language model, as stages read and change them.
#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <holdfast/error.h>

#include "base/suggest.h"
#include "learn/language_model.h"
#include "model/decoder_weights.h"

namespace holdfast {

Decoder& LanguageModel::decoder() {
  HOLDFAST_CHECK(!frozen_);
  return *decoder_;
}

std::map<std::string, at::Tensor> LanguageModel::trainable() { return decoder().trainable(); }

std::map<std::string, at::Tensor> LanguageModel::weights() const {
  const c10::NoGradGuard no_grad;
  NamedTensors all;
  for (const auto& [name, weight] : decoder_->weights()) all[name] = weight.detach();
  for (std::int64_t block = 0; block < layers(); ++block) {
    for (const Linear* linear : decoder_->linears(block)) all[linear->module + ".weight"] = linear->effective_weight().detach();
  }
  return all;
}

std::vector<std::string> LanguageModel::linears(std::int64_t block) const {
  if (block < 0 || block >= layers()) {
    throw Error("linears of block " + std::to_string(block) + " are asked for, and the model has blocks 0 to " +
                std::to_string(layers() - 1));
  }
  std::vector<std::string> names;
  for (const Linear* linear : decoder_->linears(block)) names.push_back(linear->module + ".weight");
  return names;
}

const at::Tensor& LanguageModel::weight_of(const std::string& name) const {
  const auto found = decoder_->weights().find(name);
  if (found != decoder_->weights().end()) return found->second;
  std::vector<std::string> names;
  for (const auto& [known, weight] : decoder_->weights()) names.push_back(known);
  const std::string near = nearest(name, names);
  throw Error("the model has no weight \"" + name + "\". " +
              (near.empty() ? "Its weights are called as in a checkpoint: \"" + linears(0).front() + "\""
                            : "Did you mean \"" + near + "\"?"));
}

at::Tensor LanguageModel::effective_weight(const std::string& name) const {
  const at::Tensor& weight = weight_of(name);
  const Linear* linear = decoder_->find_linear(name);
  return linear == nullptr ? weight : linear->effective_weight();
}

void LanguageModel::set_weight(const std::string& name, const at::Tensor& values) {
  const c10::NoGradGuard no_grad;
  const at::Tensor& weight = weight_of(name);
  const Linear* linear = decoder().find_linear(name);
  if (linear != nullptr && linear->lora != nullptr) {
    throw Error("the weight \"" + name +
                "\" has a LoRA adapter, beside which other values cannot be held: change the factors " +
                "that trainable() gives");
  }
  if (values.sizes() != weight.sizes()) {
    throw Error("the weight \"" + name + "\" has shape " + shape_text(weight.sizes()) + " and is to be given values of shape " +
                shape_text(values.sizes()));
  }
  if (!at::isfinite(values).all().item<bool>()) {
    throw Error("the weight \"" + name + "\" is to be given values that are not finite");
  }
  decoder().own_weight(name).copy_(values);
}

std::unique_ptr<LanguageModel> LanguageModel::copy() const {
  return std::make_unique<LanguageModel>(decoder_->clone(), tokenizer_, chat_, stop_tokens_, side_files_, rules_);
}

std::unique_ptr<LanguageModel> LanguageModel::merged() const {
  return std::make_unique<LanguageModel>(decoder_->merged(), tokenizer_, chat_, stop_tokens_, side_files_, rules_);
}

std::unique_ptr<LanguageModel> LanguageModel::with_weights(NamedTensors weights, const std::string& source) const {
  auto decoder = std::make_shared<Decoder>(decoder_->config(), std::move(weights), source);
  return std::make_unique<LanguageModel>(std::move(decoder), tokenizer_, chat_, stop_tokens_, side_files_, rules_);
}

std::unique_ptr<LanguageModel> LanguageModel::share() const {
  return std::make_unique<LanguageModel>(decoder_->share(), tokenizer_, chat_, stop_tokens_, side_files_, rules_);
}

}  // namespace holdfast
