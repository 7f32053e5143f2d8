// Checkpoints with LoRA adapters that do something.
#pragma once

#include "learn/checkpoint_fixtures.h"

namespace holdfast::fixtures {

/// Numbers between -1 and 1 that repeat nowhere soon.
inline at::Tensor waves(at::IntArrayRef shape, double phase) {
  return at::arange(c10::multiply_integers(shape), at::kDouble).mul(0.7).add(phase).sin().reshape(shape);
}

/// A checkpoint in another dtype, with adapters on every linear whose factors are not zero.
inline std::unique_ptr<LanguageModel> adapted(const std::string& name, at::ScalarType dtype) {
  const std::shared_ptr<const LanguageModel> model = load(name);
  NamedTensors weights;
  for (const auto& [key, tensor] : model->decoder().weights()) weights[key] = tensor.to(dtype);
  auto decoder = std::make_shared<Decoder>(model->decoder().config(), std::move(weights), "the copy");
  decoder->add_adapters({4, 8, {}}, 3);
  for (const auto& [module, lora] : decoder->adapters()) at::Tensor(lora.b).copy_(waves(lora.b.sizes(), 1.0).mul(0.1));
  const std::shared_ptr<const ChatTemplate> chat(model, &model->chat());
  const std::shared_ptr<const Tokenizer> tokenizer(model, &model->tokenizer());
  return std::make_unique<LanguageModel>(decoder, tokenizer, chat, model->stop_tokens(), SideFiles());
}
inline std::unique_ptr<LanguageModel> adapted_in_float64(const std::string& name) { return adapted(name, at::kDouble); }

}  // namespace holdfast::fixtures
