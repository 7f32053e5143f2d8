// A decoder's LoRA adapters, and what training changes.
#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <holdfast/error.h>
#include <holdfast/random.h>

#include <algorithm>
#include <cmath>

#include "base/suggest.h"
#include "model/decoder.h"
#include "model/decoder_weights.h"
#include "model/mapped_tensor.h"

namespace holdfast {
namespace {

at::Tensor uniform(Random& random, at::IntArrayRef shape, double bound) {
  at::Tensor out = at::empty(shape, at::kFloat);
  auto* data = out.data_ptr<float>();
  for (std::int64_t i = 0; i < out.numel(); ++i) data[i] = static_cast<float>(bound * (2 * random.uniform() - 1));
  return out;
}

}  // namespace

std::vector<Linear*> Decoder::linears() {
  std::vector<Linear*> all;
  for (auto& block : blocks_) {
    for (auto* linear : block.linears()) all.push_back(linear);
  }
  return all;
}

void Decoder::link_adapters() {
  for (auto* linear : linears()) {
    const auto found = adapters_.find(linear->module);
    linear->lora = found == adapters_.end() ? nullptr : &found->second;
  }
}

void Decoder::add_adapters(const LoraOptions& options, std::uint64_t seed) {
  HOLDFAST_CHECK(adapters_.empty());
  const auto& targets = options.targets.empty() ? kLinearNames : options.targets;
  for (const auto& target : targets) {
    if (std::count(kLinearNames.begin(), kLinearNames.end(), target) == 0) {
      throw Error("lora_targets names \"" + target + "\", which is no linear of a block." + suggestion(target, kLinearNames));
    }
  }
  for (auto* linear : linears()) {
    if (std::count(targets.begin(), targets.end(), linear->name()) == 0) continue;
    Random random(derive_seed(seed, linear->module));
    const std::int64_t out = linear->weight.size(0), in = linear->weight.size(1);
    adapters_[linear->module] = {
        uniform(random, {options.rank, in}, 1 / std::sqrt(static_cast<double>(in))).to(linear->weight.options()),
        at::zeros({out, options.rank}, linear->weight.options()), options.alpha / static_cast<double>(options.rank)};
  }
  adapter_options_ = options;
  adapter_options_.targets = targets;
  link_adapters();
}

void Decoder::set_adapters(Adapters factors, const LoraOptions& options, const std::string& source) {
  HOLDFAST_CHECK(adapters_.empty());
  std::map<std::string, Linear*> known;
  for (auto* linear : linears()) known[linear->module] = linear;
  for (auto& [module, lora] : factors) {
    const auto found = known.find(module);
    if (found == known.end()) throw Error(source + " adapts \"" + module + "\", which its base model does not have");
    const at::Tensor& weight = found->second->weight;
    if (!lora.a.defined() || !lora.b.defined() || lora.a.dim() != 2 || lora.b.dim() != 2 || lora.a.size(1) != weight.size(1) ||
        lora.b.size(0) != weight.size(0) || lora.a.size(0) != lora.b.size(1)) {
      throw Error(source + ": the factors of \"" + module + "\" do not fit its weight of shape " + shape_text(weight.sizes()));
    }
    for (at::Tensor* factor : {&lora.a, &lora.b}) {
      *factor = factor->to(weight.options());
      if (lies_in_file(*factor)) *factor = factor->clone();  // training changes them
    }
  }
  adapters_ = std::move(factors);
  adapter_options_ = options;
  link_adapters();
}

void Decoder::merge_adapters() {
  const c10::NoGradGuard no_grad;
  if (adapters_.empty()) return;
  for (const auto& [module, lora] : adapters_) {
    unshared(module + ".weight").add_(at::mm(lora.b, lora.a), lora.scale);
  }
  adapters_.clear();
  link_weights();
}

NamedTensors Decoder::trainable() {
  if (!adapters_.empty()) return factors();
  own_weights(std::set<std::string>(shared_));
  return weights_;
}

NamedTensors Decoder::factors() const {
  NamedTensors factors;
  for (const auto& [module, lora] : adapters_) {
    factors[module + ".lora_A.weight"] = lora.a;
    factors[module + ".lora_B.weight"] = lora.b;
  }
  return factors;
}

void Decoder::require_gradients(bool on) {
  for (auto& [name, tensor] : weights_) tensor.set_requires_grad(false);
  if (!on) {
    for (auto& [name, tensor] : factors()) at::Tensor(tensor).set_requires_grad(false);
    return;
  }
  for (auto& [name, tensor] : trainable()) at::Tensor(tensor).set_requires_grad(true);
}

}  // namespace holdfast
