#include "learn/optimizer.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <cmath>

namespace holdfast {
namespace {

constexpr std::int64_t kFewestCoded = 4096;  // below that, norms and biases, 8 bits save nothing
constexpr std::int64_t kPart = 1 << 20;      // numbers of moments or of a gradient that a step widens at a time
static_assert(kPart % kCodeBlock == 0);

bool is_short(const at::Tensor& tensor) { return tensor.scalar_type() == at::kBFloat16 || tensor.scalar_type() == at::kHalf; }

// Copies to and from pinned memory run beside the device's work.
at::Tensor on_host(const at::Tensor& tensor, at::Device computes) {
  const at::Tensor there = tensor.to(at::kCPU);
  return computes.is_cuda() ? there.pin_memory() : there;
}

}  // namespace

OptimizerStates optimizer_states(const std::string& option) {
  if (option == "8bit") return OptimizerStates::kEightBit;
  return option == "host" ? OptimizerStates::kHost : OptimizerStates::kFloat32;
}

MasterWeights::MasterWeights(std::vector<at::Tensor> parameters, OptimizerStates states) : parameters_(std::move(parameters)) {
  for (const auto& parameter : parameters_) {
    at::Tensor value = parameter.detach();
    if (is_short(value)) {
      value = states == OptimizerStates::kHost ? on_host(value.to(at::kFloat), value.device()) : value.to(at::kFloat);
    }
    values_.push_back(std::move(value));
  }
}

void MasterWeights::assign(const std::vector<at::Tensor>& values) {
  const c10::NoGradGuard no_grad;
  for (std::size_t i = 0; i < values_.size(); ++i) values_[i].copy_(values[i]);
  round();
}

void MasterWeights::move(const std::vector<at::Tensor>& direction, double distance) {
  const c10::NoGradGuard no_grad;
  for (std::size_t i = 0; i < values_.size(); ++i) values_[i].add_(direction[i].to(values_[i].options()), distance);
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

std::vector<std::pair<std::string, at::Tensor>> AdamW::Slot::tensors() const {
  if (!mean_codes) return {{"mean", mean}, {"square", square}, {"steps", steps}};
  return {{"mean", mean_codes->codes()},
          {"square", square_codes->codes()},
          {"steps", steps},
          {"mean scales", mean_codes->scales()},
          {"square scales", square_codes->scales()}};
}

AdamW::AdamW(MasterWeights& weights, double weight_decay, OptimizerStates states)
    : weights_(weights), weight_decay_(weight_decay), states_(states) {
  for (std::size_t i = 0; i < weights.values().size(); ++i) {
    slots_.push_back(new_slot(weights.parameters()[i], weights.values()[i]));
  }
}

AdamW::Slot AdamW::new_slot(const at::Tensor& parameter, const at::Tensor& value) const {
  const at::Tensor steps = at::zeros({}, value.options().device(parameter.device()).dtype(at::kFloat));
  const bool coded = value.scalar_type() == at::kFloat && value.numel() >= kFewestCoded && value.is_contiguous();
  if (states_ == OptimizerStates::kEightBit && coded) {
    return {{}, {}, steps, EightBit(value.numel(), true, value.device()), EightBit(value.numel(), false, value.device())};
  }
  const auto zeros = [&] {
    const at::Tensor made = at::zeros_like(value, at::MemoryFormat::Contiguous);
    return states_ == OptimizerStates::kHost ? on_host(made, parameter.device()) : made;
  };
  return {zeros(), zeros(), steps};
}

void AdamW::update(const std::vector<at::Tensor>& values, const std::vector<at::Tensor>& gradients,
                   const std::vector<at::Tensor>& means, const std::vector<at::Tensor>& squares,
                   const std::vector<at::Tensor>& steps, double lr) const {
  at::_fused_adamw_(values, gradients, means, squares, {}, steps, lr, 0.9, 0.999, weight_decay_, 1e-8, /*amsgrad=*/false,
                    /*maximize=*/false);
}

void AdamW::step_by_parts(Slot& slot, const at::Tensor& value, const at::Tensor& gradient, double lr) {
  const at::Tensor values = value.view(-1), gradients = gradient.view(-1);
  for (std::int64_t first = 0; first < values.numel(); first += kPart) {
    const std::int64_t count = std::min(kPart, values.numel() - first);
    const at::Tensor mean = slot.mean_codes->read(first, count), square = slot.square_codes->read(first, count);
    update({values.narrow(0, first, count)}, {gradients.narrow(0, first, count)}, {mean}, {square}, {slot.steps}, lr);
    slot.mean_codes->write(first, mean);
    slot.square_codes->write(first, square);
  }
}

// On the CPU nothing is copied: `to` gives the tensors themselves.
void AdamW::step_from_host(const Slot& slot, const at::Tensor& value, const at::Tensor& gradient, double lr) {
  const auto over = [&](const at::Tensor& tensor) { return tensor.to(gradient.device(), /*non_blocking=*/true); };
  const at::Tensor values = over(value), mean = over(slot.mean), square = over(slot.square);
  update({values}, {gradient}, {mean}, {square}, {slot.steps}, lr);
  for (const auto& [rests, moved] : {std::pair(value, values), std::pair(slot.mean, mean), std::pair(slot.square, square)}) {
    if (!rests.is_same(moved)) at::Tensor(rests).copy_(moved);
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
    Slot& slot = slots_[i];
    const at::Tensor& value = weights_.values()[i];
    Lists& lists = by_device[value.device().index()];
    const at::Tensor gradient = given[i].to(value.scalar_type()).contiguous();
    slot.steps.add_(1);
    if (slot.mean_codes) {
      step_by_parts(slot, value, gradient, lr);
    } else if (states_ == OptimizerStates::kHost) {
      step_from_host(slot, value, gradient, lr);
    } else if (!gradient.is_same(given[i]) && value.numel() >= kPart) {  // a large copy, of which one at a time is enough
      update({value}, {gradient}, {slot.mean}, {slot.square}, {slot.steps}, lr);
    } else {
      lists.values.push_back(value);
      lists.gradients.push_back(gradient);
      lists.means.push_back(slot.mean);
      lists.squares.push_back(slot.square);
      lists.steps.push_back(slot.steps);
    }
  }
  for (auto& [device, lists] : by_device) {
    if (!lists.values.empty()) update(lists.values, lists.gradients, lists.means, lists.squares, lists.steps, lr);
  }
  weights_.round();
}

std::vector<at::Tensor> AdamW::moments() const {
  std::vector<at::Tensor> moments;
  for (const auto& slot : slots_) {
    for (const auto& [name, tensor] : slot.tensors()) moments.push_back(tensor);
  }
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
    for (const auto& [name, tensor] : slots_[i].tensors()) state[name + " " + number] = tensor;
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
  auto wide = at::kFloat;
  for (const auto& each : gradients) wide = at::promote_types(wide, each.scalar_type());
  auto norms = at::_foreach_norm(gradients, 2, wide);
  for (auto& each : norms) each = each.to(norms.front().device());  // of a model on several
  const double norm = at::linalg_vector_norm(at::stack(norms), 2, std::nullopt, false, at::kDouble).item<double>();
  const double factor = max_norm / (norm + 1e-6);
  if (max_norm > 0 && factor < 1) at::_foreach_mul_(gradients, factor);
  return norm;
}

}  // namespace holdfast
