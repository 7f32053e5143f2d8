#include "model/fused/gated_unit.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <torch/csrc/autograd/custom_function.h>

#include "model/fused/lanes.h"
#include "model/fused/once.h"

namespace holdfast::fused {

HOLDFAST_WIDE void gate_values(const float* gate, const float* up, std::int64_t count, float* out) {
  for (std::int64_t i = 0; i < count; i += kLanes) {
    Lanes g, u;
    load(g, gate + i, count - i);
    load(u, up + i, count - i);
    Lanes away = -g;
    exponential(away);
    store(out + i, g / (1.0F + away) * u, count - i);
  }
}

HOLDFAST_WIDE void gate_values_back(const float* gate, const float* up, const float* slope, std::int64_t count, float* to_gate,
                                    float* to_up) {
  for (std::int64_t i = 0; i < count; i += kLanes) {
    Lanes g, u, dy;
    load(g, gate + i, count - i);
    load(u, up + i, count - i);
    load(dy, slope + i, count - i);
    Lanes away = -g;
    exponential(away);
    const Lanes share = 1.0F / (1.0F + away);
    store(to_gate + i, dy * u * share * (1.0F + g * (1.0F - share)), count - i);
    store(to_up + i, dy * g * share, count - i);
  }
}

namespace {

constexpr std::int64_t kValues = 1 << 14;

struct GatedUnit : torch::autograd::Function<GatedUnit> {
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& given_gate,
                            const at::Tensor& given_up) {
    const at::Tensor gate = given_gate.contiguous(), up = given_up.contiguous();
    context->save_for_backward({gate, up});
    at::Tensor out = at::empty_like(gate);
    const float *g = gate.const_data_ptr<float>(), *u = up.const_data_ptr<float>();
    at::parallel_for(0, out.numel(), kValues, [&, to = out.data_ptr<float>()](std::int64_t first, std::int64_t last) {
      gate_values(g + first, u + first, last - first, to + first);
    });
    return out;
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& slopes) {
    refuse_second_derivatives();
    const auto saved = context->get_saved_variables();
    const at::Tensor slope = slopes[0].contiguous();
    at::Tensor to_gate = at::empty_like(slope), to_up = at::empty_like(slope);
    const float *g = saved[0].const_data_ptr<float>(), *u = saved[1].const_data_ptr<float>(),
                *dy = slope.const_data_ptr<float>();
    float *dg = to_gate.data_ptr<float>(), *du = to_up.data_ptr<float>();
    at::parallel_for(0, slope.numel(), kValues, [&](std::int64_t first, std::int64_t last) {
      gate_values_back(g + first, u + first, dy + first, last - first, dg + first, du + first);
    });
    return {to_gate, to_up};
  }
};

}  // namespace

at::Tensor gated_unit(const at::Tensor& gate, const at::Tensor& up) { return GatedUnit::apply(gate, up); }

}  // namespace holdfast::fused
