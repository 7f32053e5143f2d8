#include "model/gguf_decoder.h"

#include <ATen/ATen.h>
#include <holdfast/error.h>

#include <algorithm>

namespace holdfast {
namespace {

constexpr char kRopeDivisors[] = "rope_freqs.weight";

// GGUF's tensor names beside ours; "#" is the layer.
using TensorNames = std::map<std::string, std::string>;
const TensorNames kNames = {
    {"token_embd.weight", "model.embed_tokens.weight"},
    {"output_norm.weight", "model.norm.weight"},
    {"output.weight", "lm_head.weight"},
    {"blk.#.attn_norm.weight", "model.layers.#.input_layernorm.weight"},
    {"blk.#.attn_q.weight", "model.layers.#.self_attn.q_proj.weight"},
    {"blk.#.attn_k.weight", "model.layers.#.self_attn.k_proj.weight"},
    {"blk.#.attn_v.weight", "model.layers.#.self_attn.v_proj.weight"},
    {"blk.#.attn_q.bias", "model.layers.#.self_attn.q_proj.bias"},
    {"blk.#.attn_k.bias", "model.layers.#.self_attn.k_proj.bias"},
    {"blk.#.attn_v.bias", "model.layers.#.self_attn.v_proj.bias"},
    {"blk.#.attn_q_norm.weight", "model.layers.#.self_attn.q_norm.weight"},
    {"blk.#.attn_k_norm.weight", "model.layers.#.self_attn.k_norm.weight"},
    {"blk.#.attn_output.weight", "model.layers.#.self_attn.o_proj.weight"},
    {"blk.#.ffn_gate.weight", "model.layers.#.mlp.gate_proj.weight"},
    {"blk.#.ffn_up.weight", "model.layers.#.mlp.up_proj.weight"},
    {"blk.#.ffn_down.weight", "model.layers.#.mlp.down_proj.weight"},
};

// The norm between attention and feed-forward is named by its place: checkpoints with outer norms have two there.
const TensorNames kInnerNorms = {{"blk.#.ffn_norm.weight", "model.layers.#.post_attention_layernorm.weight"}};
const TensorNames kOuterNorms = {
    {"blk.#.post_attention_norm.weight", "model.layers.#.post_attention_layernorm.weight"},
    {"blk.#.ffn_norm.weight", "model.layers.#.pre_feedforward_layernorm.weight"},
    {"blk.#.post_ffw_norm.weight", "model.layers.#.post_feedforward_layernorm.weight"},
};

// A name that is not known stays: the decoder refuses it by that name.
std::string checkpoint_name(const std::string& name, bool outer_norms) {
  std::string pattern = name, layer;
  if (name.rfind("blk.", 0) == 0) {
    const auto end = name.find('.', 4);
    layer = name.substr(4, end - 4);
    pattern = "blk.#" + (end == std::string::npos ? "" : name.substr(end));
  }
  for (const TensorNames* names : {&kNames, outer_norms ? &kOuterNorms : &kInnerNorms}) {
    const auto found = names->find(pattern);
    if (found == names->end()) continue;
    std::string result = found->second;
    if (const auto mark = result.find('#'); mark != std::string::npos) result.replace(mark, 1, layer);
    return result;
  }
  return name;
}

// Query and key rows of some architectures have the two rotary halves of a head interleaved; the checkpoint keeps them apart.
at::Tensor halves_apart(const at::Tensor& weight, std::int64_t heads, const std::string& name, const std::string& source) {
  if (weight.dim() != 2 || weight.size(0) % (2 * heads) != 0) {
    throw Error(source + ": tensor \"" + name + "\" does not divide into " + std::to_string(heads) + " heads");
  }
  return weight.view({heads, weight.size(0) / heads / 2, 2, weight.size(1)}).transpose(1, 2).reshape(weight.sizes());
}

at::Tensor as_in_checkpoint(const at::Tensor& tensor, const ModelConfig& config, const std::string& name,
                            const std::string& source) {
  if (config.offset_norms && name.ends_with("norm.weight")) return tensor - 1;  // the file has the one added
  if (!config.architecture->gguf_interleaved) return tensor;
  if (name.ends_with(".attn_q.weight")) return halves_apart(tensor, config.heads, name, source);
  if (name.ends_with(".attn_k.weight")) return halves_apart(tensor, config.kv_heads, name, source);
  return tensor;
}

RopeScaling scaling_of(const at::Tensor& divisors, const ModelConfig& config, const std::string& source) {
  const at::Tensor all = divisors.to(at::kDouble).contiguous();
  if (all.sizes() != at::IntArrayRef({config.head_width / 2})) {
    throw Error(source + ": " + kRopeDivisors + " has " + std::to_string(all.numel()) + " values, expected one for each of " +
                std::to_string(config.head_width / 2) + " rotary planes");
  }
  return llama3_scaling(config.rope, {all.data_ptr<double>(), all.data_ptr<double>() + all.numel()}, source);
}

}  // namespace

ModelConfig read_gguf_config(const GgufFile& file, const std::string& source) {
  ModelConfig config = ModelConfig::from_gguf(file.metadata(), source);
  config.tied_head = true;
  for (const auto& name : file.tensor_names()) {
    if (name == kRopeDivisors) config.rope.scaling = scaling_of(file.tensor(name), config, source);
    if (name == "output.weight") config.tied_head = false;
  }
  return config;
}

GgufDecoder read_gguf_decoder(const GgufFile& file, const std::string& source) {
  GgufDecoder out{read_gguf_config(file, source), {}};
  for (const auto& name : file.tensor_names()) {
    if (name == kRopeDivisors) continue;
    out.weights[checkpoint_name(name, out.config.outer_norms)] = as_in_checkpoint(file.tensor(name), out.config, name, source);
  }
  return out;
}

}  // namespace holdfast
