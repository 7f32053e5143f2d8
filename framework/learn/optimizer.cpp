#include "learn/optimizer.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <cmath>

namespace holdfast {
namespace {

bool is_short(const at::Tensor& tensor) { return tensor.scalar_type() == at::kBFloat16 || tensor.scalar_type() == at::kHalf; }

}  // namespace

MasterWeights::MasterWeights(std::vector<at::Tensor> parameters) : parameters_(std::move(parameters)) {
  for (const auto& parameter : parameters_) {
    values_.push_back(is_short(parameter) ? parameter.detach().to(at::kFloat) : parameter.detach());
  }
}

void MasterWeights::assign(const std::vector<at::Tensor>& values) {
  const c10::NoGradGuard no_grad;
  for (std::size_t i = 0; i < values_.size(); ++i) values_[i].copy_(values[i]);
  round();
}

void MasterWeights::move(const std::vector<at::Tensor>& direction, double distance) {
  const c10::NoGradGuard no_grad;
  for (std::size_t i = 0; i < values_.size(); ++i) values_[i].add_(direction[i].to(values_[i].scalar_type()), distance);
  round();
}

void MasterWeights::round() {
  const c10::NoGradGuard no_grad;
  std::vector<at::Tensor> rounded, exact;
  for (std::size_t i = 0; i < values_.size(); ++i) {
    if (!is_short(parameters_[i])) continue;
    rounded.push_back(parameters_[i]);
    exact.push_back(values_[i]);
  }
  if (!rounded.empty()) at::_foreach_copy_(rounded, exact);
}

AdamW::AdamW(MasterWeights& weights, double weight_decay) : weights_(weights), weight_decay_(weight_decay) {
  for (const auto& value : weights.values()) {
    slots_.push_back({at::zeros_like(value, at::MemoryFormat::Contiguous), at::zeros_like(value, at::MemoryFormat::Contiguous),
                      at::zeros({}, value.options().dtype(at::kFloat))});
  }
}

void AdamW::step(const std::vector<at::Tensor>& given, double lr) {
  const c10::NoGradGuard no_grad;
  struct Lists {
    std::vector<at::Tensor> values, gradients, means, squares, steps;
  };
  std::map<c10::DeviceIndex, Lists> by_device;  // the kernel takes tensors of one
  for (std::size_t i = 0; i < slots_.size(); ++i) {
    if (!given[i].defined()) continue;
    const at::Tensor& value = weights_.values()[i];
    Lists& lists = by_device[value.device().index()];
    lists.values.push_back(value);
    lists.gradients.push_back(given[i].to(value.scalar_type()).contiguous());
    lists.means.push_back(slots_[i].mean);
    lists.squares.push_back(slots_[i].square);
    lists.steps.push_back(slots_[i].steps.add_(1));
  }
  for (auto& [device, lists] : by_device) {
    at::_fused_adamw_(lists.values, lists.gradients, lists.means, lists.squares, {}, lists.steps, lr, 0.9, 0.999, weight_decay_,
                      1e-8, /*amsgrad=*/false, /*maximize=*/false);
  }
  if (!by_device.empty()) weights_.round();
}

std::vector<at::Tensor> AdamW::moments() const {
  std::vector<at::Tensor> moments;
  for (const auto& slot : slots_) moments.insert(moments.end(), {slot.mean, slot.square, slot.steps});
  return moments;
}

void AdamW::assign_moments(const std::vector<at::Tensor>& given) {
  const c10::NoGradGuard no_grad;
  const auto own = moments();
  for (std::size_t i = 0; i < own.size(); ++i) own[i].copy_(given[i]);
}

std::map<std::string, at::Tensor> AdamW::state() const {
  std::map<std::string, at::Tensor> state;
  for (std::size_t i = 0; i < slots_.size(); ++i) {
    const std::string number = std::to_string(i);
    state["weight " + number] = weights_.values()[i];
    state["mean " + number] = slots_[i].mean;
    state["square " + number] = slots_[i].square;
    state["steps " + number] = slots_[i].steps;
  }
  return state;
}

bool AdamW::restore(const std::map<std::string, at::Tensor>& given) {
  const c10::NoGradGuard no_grad;
  const auto own = state();
  const bool fits =
      own.size() == given.size() && std::equal(own.begin(), own.end(), given.begin(), [](auto& a, auto& b) {
        return a.first == b.first && a.second.sizes() == b.second.sizes() && a.second.scalar_type() == b.second.scalar_type();
      });
  if (!fits) return false;
  for (const auto& [name, tensor] : own) at::Tensor(tensor).copy_(given.at(name));
  weights_.round();
  return true;
}

std::vector<at::Tensor> gradients_of(const std::vector<at::Tensor>& parameters) {
  std::vector<at::Tensor> gradients;
  for (const auto& parameter : parameters) gradients.push_back(parameter.grad());
  return gradients;
}

double clip_gradients(const std::vector<at::Tensor>& parameters, double max_norm) {
  const c10::NoGradGuard no_grad;
  std::vector<at::Tensor> gradients;
  for (const auto& parameter : parameters) {
    if (parameter.grad().defined()) gradients.push_back(parameter.grad());
  }
  if (gradients.empty()) return 0;
  const auto wide = at::promote_types(gradients.front().scalar_type(), at::kFloat);
  auto norms = at::_foreach_norm(gradients, 2, wide);
  for (auto& each : norms) each = each.to(norms.front().device());  // of a model on several
  const double norm = at::linalg_vector_norm(at::stack(norms), 2, std::nullopt, false, at::kDouble).item<double>();
  const double factor = max_norm / (norm + 1e-6);
  if (max_norm > 0 && factor < 1) at::_foreach_mul_(gradients, factor);
  return norm;
}

}  // namespace holdfast
