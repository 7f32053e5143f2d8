// A linear map of a block, and its low-rank update.
#pragma once

#include <ATen/core/Tensor.h>

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "model/spans.h"

namespace holdfast {

struct LoraOptions {
  std::int64_t rank = 16;
  double alpha = 32;
  std::vector<std::string> targets;  // "q_proj", ...; empty: all seven linears of a block
};

/// Tensors by their names in a Hugging Face checkpoint ("model.layers.0.self_attn.q_proj.weight").
using NamedTensors = std::map<std::string, at::Tensor>;

struct Linear {
  std::string module;                 // "model.layers.0.self_attn.q_proj"
  at::Tensor weight;                  // (out, in)
  std::optional<at::Tensor> bias;     // (out)
  const LoraFactors* lora = nullptr;  // of the decoder's adapters

  /// "q_proj"
  std::string_view name() const { return std::string_view(module).substr(module.rfind('.') + 1); }
  /// x (N, in) -> (N, out). The weight's product is made once for all rows, and each span gets the update of its own adapters.
  at::Tensor operator()(const at::Tensor& x, const Spans& spans = {}) const;
  /// The same from the product of x and the weight alone, whose memory it may take.
  at::Tensor completed(const at::Tensor& x, const at::Tensor& product, const Spans& spans) const;
  /// The adapters' of each span, of the decoder itself without spans; null: none.
  std::vector<const LoraFactors*> factors(const Spans& spans) const;
  /// W + scale * B A, with graph; the weight itself where there is no adapter.
  at::Tensor effective_weight() const;

 private:
  at::Tensor updated(at::Tensor y, const at::Tensor& x, const Spans& spans) const;
};

}  // namespace holdfast
