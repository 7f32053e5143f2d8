#include "model/decoder_weights.h"

#include <ATen/ATen.h>
#include <holdfast/error.h>
#include <holdfast/random.h>

#include <cmath>
#include <numbers>

#include "model/decoder.h"

namespace holdfast {
namespace {

// What some architectures add to a layer.
void add_optional_shapes(const ModelConfig& c, const std::string& at, WeightShapes& shapes) {
  if (c.outer_norms) {
    shapes[at + "pre_feedforward_layernorm.weight"] = {c.width};
    shapes[at + "post_feedforward_layernorm.weight"] = {c.width};
  }
  if (c.qk_norm) {
    shapes[at + "self_attn.q_norm.weight"] = {c.head_width};
    shapes[at + "self_attn.k_norm.weight"] = {c.head_width};
  }
  if (c.qkv_bias) {
    shapes[at + "self_attn.q_proj.bias"] = {c.heads * c.head_width};
    shapes[at + "self_attn.k_proj.bias"] = {c.kv_heads * c.head_width};
    shapes[at + "self_attn.v_proj.bias"] = {c.kv_heads * c.head_width};
  }
}

// Standard normal numbers by Box and Muller.
at::Tensor normal(Random& random, at::IntArrayRef shape, double deviation) {
  at::Tensor out = at::empty(shape, at::kFloat);
  auto* data = out.data_ptr<float>();
  for (std::int64_t i = 0; i < out.numel(); ++i) {
    const double radius = std::sqrt(-2 * std::log(1 - random.uniform()));
    data[i] = static_cast<float>(deviation * radius * std::cos(2 * std::numbers::pi * random.uniform()));
  }
  return out;
}

}  // namespace

WeightShapes weight_shapes(const ModelConfig& c) {
  WeightShapes shapes = {{kEmbeddingWeight, {c.vocabulary, c.width}}, {"model.norm.weight", {c.width}}};
  if (!c.tied_head) shapes[kHeadWeight] = {c.vocabulary, c.width};
  for (std::int64_t l = 0; l < c.layers; ++l) {
    const std::string at = layer_name(l);
    shapes[at + "input_layernorm.weight"] = {c.width};
    shapes[at + "post_attention_layernorm.weight"] = {c.width};
    shapes[at + "self_attn.q_proj.weight"] = {c.heads * c.head_width, c.width};
    shapes[at + "self_attn.k_proj.weight"] = {c.kv_heads * c.head_width, c.width};
    shapes[at + "self_attn.v_proj.weight"] = {c.kv_heads * c.head_width, c.width};
    shapes[at + "self_attn.o_proj.weight"] = {c.width, c.heads * c.head_width};
    shapes[at + "mlp.gate_proj.weight"] = {c.feed_forward, c.width};
    shapes[at + "mlp.up_proj.weight"] = {c.feed_forward, c.width};
    shapes[at + "mlp.down_proj.weight"] = {c.width, c.feed_forward};
    add_optional_shapes(c, at, shapes);
  }
  return shapes;
}

std::string layer_name(std::int64_t layer) { return "model.layers." + std::to_string(layer) + "."; }

std::string shape_text(at::IntArrayRef shape) {
  std::string text = "[";
  for (std::size_t i = 0; i < shape.size(); ++i) text += (i == 0 ? "" : ", ") + std::to_string(shape[i]);
  return text + "]";
}

void check_shapes(const ModelConfig& config, const NamedTensors& weights, const std::string& source) {
  const auto expected = weight_shapes(config);
  for (const auto& [name, shape] : expected) {
    const auto found = weights.find(name);
    if (found == weights.end()) throw Error(source + " has no tensor \"" + name + "\", which its configuration calls for");
    if (found->second.sizes() != at::IntArrayRef(shape)) {
      throw Error(source + ": tensor \"" + name + "\" has shape " + shape_text(found->second.sizes()) +
                  ", its configuration calls for " + shape_text(shape));
    }
  }
  for (const auto& [name, tensor] : weights) {
    if (!expected.contains(name)) {
      throw Error(source + " has a tensor \"" + name + "\" that a " + config.architecture->model_type +
                  " decoder of its configuration does not have");
    }
  }
}

NamedTensors Decoder::random_weights(const ModelConfig& config, std::uint64_t seed) {
  NamedTensors weights;
  for (const auto& [name, shape] : weight_shapes(config)) {
    Random random(derive_seed(seed, name));
    const bool from_zero = config.offset_norms || name.ends_with(".bias");
    if (shape.size() > 1)
      weights[name] = normal(random, shape, 0.02);
    else
      weights[name] = from_zero ? at::zeros(shape, at::kFloat) : at::ones(shape, at::kFloat);
  }
  return weights;
}

}  // namespace holdfast
