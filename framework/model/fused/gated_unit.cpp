#include "model/fused/gated_unit.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>

#include "model/fused/lanes.h"
#include "model/fused/once.h"

namespace holdfast::fused {

// Both units are g times the logistic of something, u(g): of g itself (SiLU), or of what makes a tanh GELU, since
// (1 + tanh z) / 2 is the logistic of 2 z (Hendrycks and Gimpel 2016, arXiv 1606.08415).
constexpr float kSlope = 1.5957691216F, kCubic = 0.044715F;  // 2 * sqrt(2 / pi)

HOLDFAST_WIDE void gate_values(const float* gate, const float* up, std::int64_t count, bool gelu, float* out) {
  for (std::int64_t i = 0; i < count; i += kLanes) {
    Lanes g, u;
    load(g, gate + i, count - i);
    load(u, up + i, count - i);
    Lanes away = gelu ? -kSlope * g * (1.0F + kCubic * g * g) : -g;
    exponential(away);
    store(out + i, g / (1.0F + away) * u, count - i);
  }
}

HOLDFAST_WIDE void gate_values_back(const float* gate, const float* up, const float* slope, std::int64_t count, bool gelu,
                                    float* to_gate, float* to_up) {
  for (std::int64_t i = 0; i < count; i += kLanes) {
    Lanes g, u, dy;
    load(g, gate + i, count - i);
    load(u, up + i, count - i);
    load(dy, slope + i, count - i);
    Lanes away = gelu ? -kSlope * g * (1.0F + kCubic * g * g) : -g, steep = g - g + 1.0F;
    if (gelu) steep = kSlope * (1.0F + 3.0F * kCubic * g * g);
    exponential(away);
    const Lanes share = 1.0F / (1.0F + away);
    store(to_gate + i, dy * u * share * (1.0F + g * steep * (1.0F - share)), count - i);
    store(to_up + i, dy * g * share, count - i);
  }
}

namespace {

constexpr std::int64_t kValues = 1 << 14;

// Rows may lie apart, as those of a product that was made with others.
at::Tensor with_whole_rows(const at::Tensor& x) { return x.stride(1) == 1 ? x : x.contiguous(); }

struct GatedUnit : torch::autograd::Function<GatedUnit> {
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& given_gate, const at::Tensor& given_up,
                            bool gelu) {
    const at::Tensor gate = with_whole_rows(given_gate), up = with_whole_rows(given_up);
    context->save_for_backward({gate, up});
    context->saved_data["gelu"] = gelu;
    const std::int64_t rows = gate.size(0), width = gate.size(1), together = std::max<std::int64_t>(1, kValues / width);
    at::Tensor out = at::empty({rows, width}, gate.options());
    const float *g = gate.const_data_ptr<float>(), *u = up.const_data_ptr<float>();
    at::parallel_for(0, rows, together, [&, to = out.data_ptr<float>()](std::int64_t first, std::int64_t last) {
      for (std::int64_t row = first; row < last; ++row) {
        gate_values(g + row * gate.stride(0), u + row * up.stride(0), width, gelu, to + row * width);
      }
    });
    return out;
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& slopes) {
    refuse_second_derivatives();
    const bool gelu = context->saved_data["gelu"].toBool();
    const auto saved = context->get_saved_variables();
    const at::Tensor gate = saved[0].contiguous(), up = saved[1].contiguous(), slope = slopes[0].contiguous();
    at::Tensor to_gate = at::empty_like(slope), to_up = at::empty_like(slope);
    const float *g = gate.const_data_ptr<float>(), *u = up.const_data_ptr<float>(), *dy = slope.const_data_ptr<float>();
    float *dg = to_gate.data_ptr<float>(), *du = to_up.data_ptr<float>();
    at::parallel_for(0, slope.numel(), kValues, [&](std::int64_t first, std::int64_t last) {
      gate_values_back(g + first, u + first, dy + first, last - first, gelu, dg + first, du + first);
    });
    return {to_gate, to_up, at::Tensor()};
  }
};

}  // namespace

at::Tensor gated_unit(const at::Tensor& gate, const at::Tensor& up, bool gelu) { return GatedUnit::apply(gate, up, gelu); }

}  // namespace holdfast::fused
