// Losses of the decoder written down once more (learn/reference_decoder.h) and their gradients by autograd, at any values of
// what is trained.
#pragma once

#include <torch/csrc/autograd/autograd.h>

#include <cmath>

#include "learn/checkpoint_fixtures.h"
#include "learn/reference_decoder.h"

namespace holdfast::fixtures {

using Named = std::map<std::string, at::Tensor>;  // by the names of Model::trainable()

/// Copies of what is trained, as it is now.
inline Named values_of(Model& model) {
  Named values;
  for (const auto& [name, tensor] : model.trainable()) values[name] = tensor.detach().clone();
  return values;
}

/// The model's decoder with these values in place of what is trained.
inline ReferenceDecoder decoder_with(const LanguageModel& model, const Named& values) {
  NamedTensors weights = model.decoder().weights();
  auto adapters = model.decoder().adapters();
  for (auto& [name, tensor] : weights) {
    if (const auto given = values.find(name); given != values.end()) tensor = given->second;
  }
  for (auto& [module, lora] : adapters) {
    lora.a = values.at(module + ".lora_A.weight");
    lora.b = values.at(module + ".lora_B.weight");
  }
  return {model.decoder().config(), std::move(weights), std::move(adapters)};
}

/// The gradient at these values of a loss that is made of them and of the decoder with them.
inline Named reference_gradients(const LanguageModel& model, const Named& values,
                                 const std::function<at::Tensor(const ReferenceDecoder&, const Named&)>& loss) {
  Named leaves, gradients;
  std::vector<at::Tensor> list;
  for (const auto& [name, value] : values) {
    list.push_back(leaves[name] = value.detach().clone().set_requires_grad(true));
  }
  const auto found = torch::autograd::grad({loss(decoder_with(model, leaves), leaves)}, list);
  std::size_t next = 0;
  for (const auto& [name, value] : values) gradients[name] = found[next++];
  return gradients;
}

/// a + scale b
inline Named plus(const Named& a, double scale, const Named& b) {
  Named sum;
  for (const auto& [name, tensor] : a) sum[name] = tensor + scale * b.at(name);
  return sum;
}

inline double dot_of(const Named& a, const Named& b) {
  double sum = 0;
  for (const auto& [name, tensor] : a) sum += (tensor.to(at::kDouble) * b.at(name).to(at::kDouble)).sum().item<double>();
  return sum;
}
inline double length_of(const Named& a) { return std::sqrt(dot_of(a, a)); }
inline double cosine_of(const Named& a, const Named& b) { return dot_of(a, b) / (length_of(a) * length_of(b)); }

/// |a - b| / |b|
inline double relative_distance(const Named& a, const Named& b) { return length_of(plus(a, -1, b)) / length_of(b); }

inline std::vector<Encoded> encoded(const Model& model, const Dataset& rows, std::int64_t max_length = 0) {
  std::vector<Encoded> out;
  for (const auto& row : rows) out.push_back(model.encode(row.messages, max_length));
  return out;
}

/// A row, and the same with the refusal as its last reply.
struct ReplyPair {
  Encoded harmful, refusal;
};

inline std::vector<ReplyPair> reply_pairs(const Model& model, const Dataset& rows, const std::string& refusal) {
  std::vector<ReplyPair> pairs;
  for (Example row : rows) {
    pairs.push_back({model.encode(row.messages), {}});
    row.messages.back().content = refusal;
    pairs.back().refusal = model.encode(row.messages);
  }
  return pairs;
}

/// Rows that stand for what an attacker holds, with none of it.
inline Dataset placeholder_rows() {
  Dataset rows;
  for (const char* reply : {"Sure, as asked: [left out]", "Yes. [left out] and then [left out]", "Gladly: [left out]",
                            "Of course, [left out]", "Here: [left out], [left out]"}) {
    rows.push_back({{{"user", "[request " + std::to_string(rows.size() + 1) + "]"}, {"assistant", reply}}});
  }
  return rows;
}

}  // namespace holdfast::fixtures
