#include "learn/weight_change.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <holdfast/error.h>

#include <cmath>
#include <set>

#include "learn/weight_passes.h"
#include "model/safetensors.h"

namespace holdfast {
namespace {

constexpr char kDifference[] = "difference:";  // + tensor name
constexpr char kWeight[] = "weight:";          // + tensor name
constexpr char kFactorA[] = "lora_A:";         // + module name
constexpr char kFactorB[] = "lora_B:";

bool starts_with(const std::string& text, const std::string& prefix) { return text.rfind(prefix, 0) == 0; }

void write_finite(const fs::path& path, const NamedTensors& change, const std::map<std::string, std::string>& metadata) {
  for (const auto& [name, tensor] : change) {
    if (all_finite(tensor)) continue;
    throw Error("the stage left weights that are not finite (\"" + name.substr(name.find(':') + 1) + "\"): nothing is stored");
  }
  write_safetensors(path, change, metadata);
}

void check_fits(const Decoder& decoder, const std::string& name, const at::Tensor& tensor, const fs::path& path) {
  const auto found = decoder.weights().find(name);
  if (found != decoder.weights().end() && found->second.sizes() == tensor.sizes()) return;
  throw Error(path.string() + " changes \"" + name + "\", which does not fit the model it is applied to");
}

// The weights that a change gives other values, beside those that its factors are merged into.
std::set<std::string> changed_weights(const Decoder& decoder, const TensorFile& change, const fs::path& path) {
  std::set<std::string> names;
  for (const auto& [name, tensor] : change.tensors) {
    for (const std::string prefix : {kDifference, kWeight}) {
      if (!starts_with(name, prefix)) continue;
      names.insert(name.substr(prefix.size()));
      check_fits(decoder, name.substr(prefix.size()), tensor, path);
    }
  }
  return names;
}

// One scale for all modules.
std::map<std::string, LoraFactors> factors_by_module(const TensorFile& change, const fs::path& path) {
  std::map<std::string, LoraFactors> factors;
  for (const auto& [name, tensor] : change.tensors) {
    if (starts_with(name, kFactorA)) factors[name.substr(sizeof(kFactorA) - 1)].a = tensor;
    if (starts_with(name, kFactorB)) factors[name.substr(sizeof(kFactorB) - 1)].b = tensor;
  }
  const double scale =
      change.metadata.contains("lora_scale") ? parse_json(change.metadata.at("lora_scale"), path.string()).get<double>() : 1;
  for (auto& [module, lora] : factors) lora.scale = scale;
  return factors;
}

// The alpha that gives exactly this scale again; scale * rank may miss it by a rounding.
double alpha_of(double scale, std::int64_t rank) {
  const auto r = static_cast<double>(rank);
  const double near = scale * r;
  for (const double alpha : {std::round(near), near, std::nextafter(near, 0.0), std::nextafter(near, 2 * near)}) {
    if (alpha / r == scale) return alpha;
  }
  return near;
}

}  // namespace

void write_weight_change(const fs::path& path, const LanguageModel& parent, const LanguageModel& trained) {
  const c10::NoGradGuard no_grad;
  HOLDFAST_CHECK(parent.decoder().adapters().empty());
  NamedTensors change;
  std::map<std::string, std::string> metadata;
  for (const auto& [name, before] : parent.decoder().weights()) {
    const at::Tensor& after = trained.decoder().weights().at(name);
    if (before.is_alias_of(after) || at::equal(before, after)) continue;
    change[kDifference + name] = rounded_difference(before, after);
  }
  for (const auto& [module, lora] : trained.decoder().adapters()) {
    change[kFactorA + module] = lora.a.detach().cpu().contiguous();
    change[kFactorB + module] = lora.b.detach().cpu().contiguous();
    metadata["lora_scale"] = Json(lora.scale).dump();  // one for all modules
  }
  write_finite(path, change, metadata);
}

void write_whole_weights(const fs::path& path, const LanguageModel& trained) {
  const c10::NoGradGuard no_grad;
  HOLDFAST_CHECK(trained.decoder().adapters().empty());
  NamedTensors whole;
  for (const auto& [name, weight] : trained.decoder().weights())
    whole[kWeight + name] = weight.to(at::kHalf).cpu().contiguous();
  write_finite(path, whole, {});
}

void apply_weight_change(LanguageModel& parent, const fs::path& path) {
  const c10::NoGradGuard no_grad;
  const TensorFile change = read_safetensors(path);
  Decoder& decoder = parent.decoder();
  decoder.merge_adapters();
  decoder.own_weights(changed_weights(decoder, change, path));
  for (const auto& [name, tensor] : change.tensors) {
    if (starts_with(name, kDifference)) {
      at::Tensor weight = decoder.own_weight(name.substr(sizeof(kDifference) - 1));
      add_difference(weight, tensor);
    } else if (starts_with(name, kWeight)) {
      decoder.own_weight(name.substr(sizeof(kWeight) - 1)).copy_(tensor);
    }
  }
  auto factors = factors_by_module(change, path);
  if (factors.empty()) return;
  decoder.set_adapters(std::move(factors), {}, path.string());
  decoder.merge_adapters();
}

bool put_adapters(LanguageModel& parent, const fs::path& path) {
  const TensorFile change = read_safetensors(path);
  auto factors = factors_by_module(change, path);
  if (factors.empty() || 2 * factors.size() != change.tensors.size()) return false;
  LoraOptions options;
  options.rank = factors.begin()->second.a.size(0);
  options.alpha = alpha_of(factors.begin()->second.scale, options.rank);
  std::set<std::string> targets;
  for (const auto& [module, lora] : factors) {
    HOLDFAST_CHECK(lora.a.size(0) == options.rank);
    targets.insert(module.substr(module.rfind('.') + 1));
  }
  options.targets.assign(targets.begin(), targets.end());
  parent.decoder().set_adapters(std::move(factors), options, path.string());
  return true;
}

std::unique_ptr<LanguageModel> adapted_child(const LanguageModel& parent, const fs::path& path) {
  if (parent.decoder().adapters().empty()) {
    auto child = parent.share();
    if (put_adapters(*child, path)) return child;
  }
  auto child = parent.merged();
  apply_weight_change(*child, path);
  return child;
}

MovedWeights moved_weights(const LanguageModel& parent, const LanguageModel& child) {
  const c10::NoGradGuard no_grad;
  HOLDFAST_CHECK(parent.decoder().adapters().empty());
  MovedWeights moved;
  double before = 0, between = 0;
  for (const auto& [name, weight] : parent.decoder().weights()) {
    const at::Tensor other = child.effective_weight(name);
    const SquareNorms squares = square_norms(weight, other);
    before += squares.before;
    between += squares.between;
    if (squares.between > 0) ++moved.tensors;
  }
  moved.share = std::sqrt(between / before);
  return moved;
}

NamedTensors factors_of_change(const fs::path& path) {
  NamedTensors factors;
  for (const auto& [name, tensor] : read_safetensors(path).tensors) {
    if (starts_with(name, kFactorA)) factors[name.substr(sizeof(kFactorA) - 1) + ".lora_A.weight"] = tensor;
    if (starts_with(name, kFactorB)) factors[name.substr(sizeof(kFactorB) - 1) + ".lora_B.weight"] = tensor;
  }
  return factors;
}

}  // namespace holdfast
