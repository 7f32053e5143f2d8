// What predicts tokens, taken a chunk of rows at a time so that no tensor of all rows and the whole vocabulary is held.
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/ScalarType.h>

#include <algorithm>
#include <cstdint>

namespace holdfast {

/// States behind the final norm (L, C), and the head that makes logits of them.
struct Predictor {
  at::Tensor states;
  at::Tensor head;       // (V, C)
  double logit_cap = 0;  // 0: none
};

/// What is summed or compared is summed in float32; a model in float64, as tests use it, stays what it is.
inline at::ScalarType at_least_float32(const at::Tensor& tensor) { return c10::promoteTypes(tensor.scalar_type(), at::kFloat); }

/// Logits that are held at a time: whole rows, one at least.
constexpr std::int64_t kLogitsAtOnce = std::int64_t{1} << 23;

/// Calls each(first row, rows) for all chunks.
template <typename Each>
void by_chunks(const Predictor& predictor, std::int64_t values, const Each& each) {
  const std::int64_t rows = predictor.states.size(0);
  const std::int64_t chunk = std::max<std::int64_t>(1, values / predictor.head.size(0));
  for (std::int64_t first = 0; first < rows; first += chunk) each(first, std::min(chunk, rows - first));
}

}  // namespace holdfast
