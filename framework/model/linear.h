// A linear map of a block, and its low-rank update.
#pragma once

#include <ATen/core/Tensor.h>

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace holdfast {

/// A low-rank update of a linear: W + scale * B A (Hu et al. 2021, arXiv 2106.09685).
struct LoraFactors {
  at::Tensor a;      // (rank, in)
  at::Tensor b;      // (out, rank)
  double scale = 1;  // alpha / rank
};

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
  at::Tensor operator()(const at::Tensor& x) const;
  /// The same from the product of x and the weight alone.
  at::Tensor completed(const at::Tensor& x, const at::Tensor& product) const;
  /// W + scale * B A, with graph; the weight itself where there is no adapter.
  at::Tensor effective_weight() const;

 private:
  at::Tensor update(const at::Tensor& x) const;
};

}  // namespace holdfast
