// The Llama decoder written down once more, as the papers have it: one sequence at a time, one head at a time, float64, nothing
// packed, padded, cached, shared or fused. Slow, short, and sharing no code with framework/model.
#pragma once

#include <ATen/ATen.h>

#include <cmath>
#include <functional>
#include <limits>
#include <numbers>
#include <vector>

#include "learn/language_model.h"

namespace holdfast::fixtures {

class ReferenceDecoder {
 public:
  /// Reads the tensors of `decoder` as they stand at each call: moving those moves this.
  explicit ReferenceDecoder(const Decoder& decoder)
      : config_(decoder.config()), weights_(decoder.weights()), adapters_(decoder.adapters()) {}
  ReferenceDecoder(const ModelConfig& config, NamedTensors weights, std::map<std::string, LoraFactors> adapters)
      : config_(config), weights_(std::move(weights)), adapters_(std::move(adapters)) {}

  /// Called with what stands at each site, one sequence at a time; what it returns goes on there. `part`: the linear of a
  /// kLinearInput; of a kQuery or kKey the number of its head, whose value is (T, D).
  using Visit = std::function<at::Tensor(Site site, std::int64_t layer, const std::string& part, const at::Tensor& value)>;
  Visit visit = [](Site, std::int64_t, const std::string&, const at::Tensor& value) { return value; };

  /// Logits of the next token after each of ids, (T, V). offsets[l] (T, C) is added to layer l's attention output.
  at::Tensor logits(const std::vector<std::int64_t>& ids, const std::vector<at::Tensor>& offsets = {}) const {
    at::Tensor x = weights_.at("model.embed_tokens.weight").index_select(0, at::tensor(ids, at::kLong));
    for (std::int64_t l = 0; l < config_.layers; ++l) {
      const std::string layer = "model.layers." + std::to_string(l) + ".";
      at::Tensor attended =
          visit(Site::kAttention, l, "", attention(l, layer + "self_attn.", norm(x, layer + "input_layernorm.weight")));
      if (!offsets.empty()) attended = attended + offsets[static_cast<std::size_t>(l)];
      x = x + attended;
      x = x +
          visit(Site::kFeedForward, l, "", feed_forward(l, layer + "mlp.", norm(x, layer + "post_attention_layernorm.weight")));
      x = visit(Site::kBlock, l, "", x);
    }
    const char* head = config_.tied_head ? "model.embed_tokens.weight" : "lm_head.weight";
    return norm(x, "model.norm.weight").matmul(weights_.at(head).t());
  }

  /// Their log-probabilities, (T, V).
  at::Tensor log_probs(const std::vector<std::int64_t>& ids, const std::vector<at::Tensor>& offsets = {}) const {
    const at::Tensor scores = logits(ids, offsets);
    return scores - scores.exp().sum(1, true).log();
  }

 private:
  at::Tensor norm(const at::Tensor& x, const std::string& weight) const {
    return x / (x.square().mean(1, true) + config_.norm_eps).sqrt() * weights_.at(weight);
  }

  at::Tensor linear(std::int64_t layer, const std::string& module, const at::Tensor& input) const {
    const at::Tensor x = visit(Site::kLinearInput, layer, module.substr(module.rfind('.') + 1), input);
    const at::Tensor y = x.matmul(weights_.at(module + ".weight").t());
    const auto lora = adapters_.find(module);
    if (lora == adapters_.end()) return y;
    return y + lora->second.scale * x.matmul(lora->second.a.t()).matmul(lora->second.b.t());
  }

  // Radians a position of plane i, with Llama 3's scaling as its authors state it.
  double frequency(std::int64_t plane) const {
    const double plain =
        1 / std::pow(config_.rope.theta, 2 * static_cast<double>(plane) / static_cast<double>(config_.head_width));
    if (!config_.rope.scaling) return plain;
    const auto& scaling = *config_.rope.scaling;
    const double original = static_cast<double>(scaling.original_max_positions), wavelength = 2 * std::numbers::pi / plain;
    if (wavelength < original / scaling.high_freq_factor) return plain;
    if (wavelength > original / scaling.low_freq_factor) return plain / scaling.factor;
    const double smooth =
        (original / wavelength - scaling.low_freq_factor) / (scaling.high_freq_factor - scaling.low_freq_factor);
    return (1 - smooth) * plain / scaling.factor + smooth * plain;
  }

  // x (T, D): column i and column i + D / 2 turn together.
  at::Tensor rotated(const at::Tensor& x) const {
    const std::int64_t half = config_.head_width / 2;
    std::vector<at::Tensor> left, right;
    for (std::int64_t i = 0; i < half; ++i) {
      const at::Tensor angle = at::arange(x.size(0), at::kDouble) * frequency(i);
      const at::Tensor a = x.select(1, i), b = x.select(1, i + half);
      left.push_back(a * angle.cos() - b * angle.sin());
      right.push_back(a * angle.sin() + b * angle.cos());
    }
    left.insert(left.end(), right.begin(), right.end());
    return at::stack(left, 1);
  }

  at::Tensor attention(std::int64_t layer, const std::string& at, const at::Tensor& x) const {
    const std::int64_t width = config_.head_width, tokens = x.size(0);
    const at::Tensor q = linear(layer, at + "q_proj", x), k = linear(layer, at + "k_proj", x),
                     v = linear(layer, at + "v_proj", x);
    const at::Tensor future = at::ones({tokens, tokens}, at::kBool).triu(1);
    std::vector<at::Tensor> heads;
    for (std::int64_t h = 0; h < config_.heads; ++h) {
      const std::int64_t shared = h / (config_.heads / config_.kv_heads);
      const at::Tensor keys = visit(Site::kKey, layer, std::to_string(shared), rotated(k.narrow(1, shared * width, width)));
      const at::Tensor queries = visit(Site::kQuery, layer, std::to_string(h), rotated(q.narrow(1, h * width, width)));
      const at::Tensor scores = queries.matmul(keys.t()) / std::sqrt(static_cast<double>(width));
      const at::Tensor seen = scores.masked_fill(future, -std::numeric_limits<double>::infinity()).softmax(1);
      heads.push_back(seen.matmul(v.narrow(1, shared * width, width)));
    }
    return linear(layer, at + "o_proj", at::cat(heads, 1));
  }

  at::Tensor feed_forward(std::int64_t layer, const std::string& at, const at::Tensor& x) const {
    const at::Tensor gate = linear(layer, at + "gate_proj", x);
    return linear(layer, at + "down_proj", gate * gate.sigmoid() * linear(layer, at + "up_proj", x));
  }

  ModelConfig config_;
  NamedTensors weights_;
  std::map<std::string, LoraFactors> adapters_;
};

/// The plain loss: cross-entropy of every label token given what stands before it, mean over all of them. offsets[l] holds the
/// rows of all examples, one example after another.
inline at::Tensor reference_loss(const ReferenceDecoder& decoder, const std::vector<Encoded>& examples,
                                 const std::vector<at::Tensor>& offsets = {}) {
  at::Tensor sum = at::zeros({}, at::kDouble);
  double labels = 0;
  std::int64_t first = 0;
  for (const auto& example : examples) {
    const auto tokens = static_cast<std::int64_t>(example.ids.size());
    std::vector<at::Tensor> own;
    for (const auto& offset : offsets) own.push_back(offset.narrow(0, first, tokens));
    const at::Tensor log_probs = decoder.log_probs(example.ids, own);
    for (std::int64_t i = 1; i < tokens; ++i) {
      if (!example.label[static_cast<std::size_t>(i)]) continue;
      sum = sum - log_probs[i - 1][example.ids[static_cast<std::size_t>(i)]];
      ++labels;
    }
    first += tokens;
  }
  return sum / labels;
}

}  // namespace holdfast::fixtures
