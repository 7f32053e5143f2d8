// Low-rank updates of a decoder's linears.
#pragma once

#include <ATen/core/Tensor.h>

#include <map>
#include <string>

namespace holdfast {

/// A low-rank update of a linear: W + scale * B A (Hu et al. 2021, arXiv 2106.09685).
struct LoraFactors {
  at::Tensor a;      // (rank, in)
  at::Tensor b;      // (out, rank)
  double scale = 1;  // alpha / rank
};

/// By module ("model.layers.0.self_attn.q_proj").
using Adapters = std::map<std::string, LoraFactors>;

}  // namespace holdfast
