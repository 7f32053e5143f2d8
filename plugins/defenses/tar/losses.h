// What TAR's losses are made of.
#pragma once

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <holdfast/trainer.h>

#include <numeric>

namespace tar {

using holdfast::Batch;
using holdfast::Batches;
using holdfast::Tensors;

inline at::Tensor at_least_float32(const at::Tensor& tensor) {
  return tensor.scalar_type() == at::kBFloat16 ? tensor.to(at::kFloat) : tensor;
}

// What to add up over the micro-batches of an optimizer batch.
inline double rows_of(const Batches& batches) {
  return std::accumulate(batches.begin(), batches.end(), 0.0,
                         [](double sum, const Batch& batch) { return sum + static_cast<double>(batch.lengths.size()); });
}
inline double tokens_of(const Batches& batches) {
  return std::accumulate(batches.begin(), batches.end(), 0.0,
                         [](double sum, const Batch& batch) { return sum + static_cast<double>(batch.ids.size(0)); });
}

// The embedding, the states behind each block but the last, and the final norm's output, (N, C) each.
inline Tensors hidden_states(const holdfast::Model& model, const Batch& batch) {
  std::vector<std::int64_t> layers(static_cast<std::size_t>(model.layers()));
  std::iota(layers.begin(), layers.end(), 0);
  Tensors states = model.states(batch, layers);
  states.push_back(model.hidden(batch));
  return states;
}

// Mean over the hidden states of how far each token's is from the reference's (L2, not squared), summed over tokens.
inline at::Tensor distance(const holdfast::Model& model, const holdfast::Model& reference, const Batch& batch) {
  const Tensors here = hidden_states(model, batch);
  Tensors there;
  {
    const c10::NoGradGuard no_grad;
    there = hidden_states(reference, batch);
  }
  at::Tensor sum = at::zeros({}, at_least_float32(here.back()).options());
  for (std::size_t l = 0; l < here.size(); ++l) {
    sum = sum + at::linalg_vector_norm(at_least_float32(here[l]) - at_least_float32(there[l]), 2, {{-1}}).sum();
  }
  return sum / static_cast<double>(here.size());
}

// log p(refusal) - log p(harmful reply) of each pair, (B).
inline at::Tensor preference(const holdfast::Model& model, const Batch& refusals, const Batch& harmful) {
  const auto said = [&](const Batch& batch) {
    const at::Tensor log_probs = model.log_probs(batch);
    return at::zeros({static_cast<std::int64_t>(batch.lengths.size())}, log_probs.options())
        .index_add(0, batch.target_example, log_probs);
  };
  return said(refusals) - said(harmful);
}

}  // namespace tar
