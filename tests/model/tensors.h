// Tensors to compute with, and how far what was made of them lies from its definition.
#pragma once

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>

#include <cstdint>

namespace holdfast {

/// Normal numbers, a function of the seed and the dtype.
inline at::Tensor normal(at::IntArrayRef shape, std::uint64_t seed, at::ScalarType dtype = at::kDouble) {
  return at::randn(shape, at::make_generator<at::CPUGeneratorImpl>(seed), dtype);
}

/// As a share of the largest value there.
inline double relative_distance(const at::Tensor& made, const at::Tensor& defined) {
  if (defined.numel() == 0) return 0;
  return ((made.to(at::kDouble) - defined).abs().max() / (defined.abs().max() + 1e-30)).item<double>();
}

}  // namespace holdfast
