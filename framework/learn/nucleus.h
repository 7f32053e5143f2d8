// Sampling where the logits are, so that no row of the vocabulary's size travels to the host.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

namespace holdfast {

/// For each row of logits (B, V) a token from the smallest set of likeliest tokens whose probability reaches top_p (Holtzman et
/// al. 2020, arXiv 1904.09751): that at which the sum of probabilities, likeliest first, passes draws[b] (from 0, below 1)
/// times the set's. In float64; one copy of a number a row comes back, more only where thousands of tokens share the
/// probability.
std::vector<std::int64_t> nucleus_tokens(const at::Tensor& logits, double temperature, double top_p,
                                         const std::vector<double>& draws);

}  // namespace holdfast
