#include <ATen/ExpandUtils.h>
#include <ATen/ops/add.h>
#include <c10/util/StringUtil.h>
#include <holdfast/error.h>
#include <holdfast/model.h>

#include <algorithm>
#include <numeric>

#include "base/suggest.h"

namespace holdfast {
namespace {

std::string list_of(const std::vector<std::int64_t>& layers) {
  std::string text;
  for (const auto layer : layers) text += (text.empty() ? "" : ", ") + std::to_string(layer);
  return text;
}

// "down_proj" of "model.layers.0.mlp.down_proj.weight".
std::string module_of(const std::string& weight) {
  const std::string module = weight.substr(0, weight.rfind('.'));
  return module.substr(module.rfind('.') + 1);
}

void check_linear(const Model& model, Site site, const std::string& linear) {
  if (site != Site::kLinearInput) {
    if (linear.empty()) return;
    throw Error("taps name the linear \"" + linear + "\" at a site that is no linear's input: leave it out there");
  }
  std::vector<std::string> known;
  for (const auto& name : model.linears(0)) known.push_back(module_of(name));
  if (std::count(known.begin(), known.end(), linear) > 0) return;
  throw Error("taps name the linear \"" + linear + "\", which is no linear of a block." + suggestion(linear, known));
}

void check_layers(const Model& model, const std::vector<std::int64_t>& layers) {
  for (const auto layer : layers) {
    if (layer >= 0 && layer < model.layers()) continue;
    throw Error("taps name layer " + std::to_string(layer) + ", and the model has layers 0 to " +
                std::to_string(model.layers() - 1));
  }
}

}  // namespace

Taps::Taps(const Model& model, Site site, std::vector<std::int64_t> layers, std::string linear)
    : model_(model), site_(site), layers_(std::move(layers)), linear_(std::move(linear)) {
  check_layers(model_, layers_);
  check_linear(model_, site_, linear_);
  if (layers_.empty()) {
    layers_.resize(static_cast<std::size_t>(model_.layers()));
    std::iota(layers_.begin(), layers_.end(), std::int64_t{0});
  }
  seen_.resize(layers_.size());
  offsets_.resize(layers_.size());
  model_.listeners().taps_.push_back(this);
}

Taps::~Taps() { std::erase(model_.listeners().taps_, this); }

std::size_t Taps::index_of(std::int64_t layer) const {
  const auto found = std::find(layers_.begin(), layers_.end(), layer);
  if (found != layers_.end()) return static_cast<std::size_t>(found - layers_.begin());
  throw Error("taps do not listen to layer " + std::to_string(layer) + "; they listen to " + list_of(layers_));
}

const at::Tensor& Taps::at(std::int64_t layer) const {
  const at::Tensor& seen = seen_[index_of(layer)];
  if (seen.defined()) return seen;
  throw Error("taps are asked for layer " + std::to_string(layer) +
              " before a forward went through it: run the batch while they listen, then ask");
}

std::vector<at::Tensor> Taps::all() const {
  std::vector<at::Tensor> all;
  for (const auto layer : layers_) all.push_back(at(layer));
  return all;
}

void Taps::offset(std::int64_t layer, at::Tensor by) { offsets_[index_of(layer)] = std::move(by); }

bool Listeners::listen_in(std::int64_t layer) const {
  return std::any_of(taps_.begin(), taps_.end(),
                     [&](const Taps* taps) { return std::count(taps->layers_.begin(), taps->layers_.end(), layer) > 0; });
}

at::Tensor Listeners::pass(Site site, std::int64_t layer, const at::Tensor& value, std::string_view linear) const {
  at::Tensor moved = value;
  for (Taps* taps : taps_) {
    if (taps->site_ != site || taps->linear_ != linear) continue;
    const auto found = std::find(taps->layers_.begin(), taps->layers_.end(), layer);
    if (found == taps->layers_.end()) continue;
    const auto index = static_cast<std::size_t>(found - taps->layers_.begin());
    taps->seen_[index] = value;
    const at::Tensor& by = taps->offsets_[index];
    if (!by.defined()) continue;
    if (!at::is_expandable_to(by.sizes(), value.sizes())) {
      throw Error("the offset at layer " + std::to_string(layer) + " has shape " + c10::str(by.sizes()) +
                  ", and what stands there has " + c10::str(value.sizes()) + ": give one of that shape");
    }
    moved = at::add(moved, by.to(value.device(), value.scalar_type()));
  }
  return moved;
}

}  // namespace holdfast
