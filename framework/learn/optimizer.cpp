#include "learn/optimizer.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <cmath>

namespace holdfast {
namespace {

bool is_short(const at::Tensor& tensor) { return tensor.scalar_type() == at::kBFloat16 || tensor.scalar_type() == at::kHalf; }

}  // namespace

AdamW::AdamW(std::vector<at::Tensor> parameters, double weight_decay) : weight_decay_(weight_decay) {
  for (auto& parameter : parameters) {
    const at::Tensor master = is_short(parameter) ? parameter.detach().to(at::kFloat) : parameter;
    slots_.push_back({parameter, master, at::zeros_like(master, at::MemoryFormat::Contiguous),
                      at::zeros_like(master, at::MemoryFormat::Contiguous), at::zeros({}, master.options().dtype(at::kFloat))});
  }
}

void AdamW::step(double lr) {
  const c10::NoGradGuard no_grad;
  std::vector<at::Tensor> masters, gradients, means, squares, steps;
  for (auto& slot : slots_) {
    if (!slot.parameter.grad().defined()) continue;
    masters.push_back(slot.master);
    gradients.push_back(slot.parameter.grad().to(slot.master.scalar_type()).contiguous());
    means.push_back(slot.mean);
    squares.push_back(slot.square);
    steps.push_back(slot.steps.add_(1));
  }
  if (masters.empty()) return;
  at::_fused_adamw_(masters, gradients, means, squares, {}, steps, lr, 0.9, 0.999, weight_decay_, 1e-8, /*amsgrad=*/false,
                    /*maximize=*/false);
  round_masters();
}

void AdamW::round_masters() {
  for (auto& slot : slots_) {
    if (is_short(slot.parameter)) slot.parameter.copy_(slot.master);
  }
}

void AdamW::zero_grad() {
  for (auto& slot : slots_) slot.parameter.mutable_grad().reset();
}

std::map<std::string, at::Tensor> AdamW::state() const {
  std::map<std::string, at::Tensor> state;
  for (std::size_t i = 0; i < slots_.size(); ++i) {
    const std::string number = std::to_string(i);
    state["weight " + number] = slots_[i].master;
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
  round_masters();
  return true;
}

double clip_gradients(const std::vector<at::Tensor>& parameters, double max_norm) {
  const c10::NoGradGuard no_grad;
  std::vector<at::Tensor> norms;
  for (const auto& parameter : parameters) {
    const at::Tensor& gradient = parameter.grad();
    if (!gradient.defined()) continue;
    const auto type = is_short(gradient) ? at::kFloat : gradient.scalar_type();
    norms.push_back(at::linalg_vector_norm(gradient, 2, std::nullopt, false, type).to(at::kDouble));
  }
  if (norms.empty()) return 0;
  const double norm = at::linalg_vector_norm(at::stack(norms)).item<double>();
  const double factor = max_norm / (norm + 1e-6);
  if (max_norm > 0 && factor < 1) {
    for (const auto& parameter : parameters) {
      if (parameter.grad().defined()) parameter.grad().mul_(factor);
    }
  }
  return norm;
}

}  // namespace holdfast
