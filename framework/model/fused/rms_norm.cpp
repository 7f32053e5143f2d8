#include "model/fused/rms_norm.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <cmath>

#include "model/fused/lanes.h"
#include "model/fused/once.h"

namespace holdfast::fused {

struct NormRows {
  const float *x, *weight;
  float offset;
  double eps;
  std::int64_t width;
};

HOLDFAST_WIDE void norm_rows(const NormRows& of, std::int64_t first, std::int64_t last, float* y, float* inverse) {
  for (std::int64_t row = first; row < last; ++row) {
    const float* x = of.x + row * of.width;
    Lanes squares{}, in, weight;
    for (std::int64_t i = 0; i < of.width; i += kLanes) {
      load(in, x + i, of.width - i);
      squares += in * in;
    }
    const float scale = static_cast<float>(1 / std::sqrt(sum_of(squares) / static_cast<double>(of.width) + of.eps));
    inverse[row] = scale;
    for (std::int64_t i = 0; i < of.width; i += kLanes) {
      load(in, x + i, of.width - i);
      load(weight, of.weight + i, of.width - i);
      store(y + row * of.width + i, in * scale * (weight + of.offset), of.width - i);
    }
  }
}

// With g = dy (w + offset) and x^ = x / rms: dx = (g - x^ mean(g x^)) / rms, dw = sum over rows of dy x^. A null is not wanted.
HOLDFAST_WIDE void norm_rows_back(const NormRows& of, const float* slopes, const float* inverse, std::int64_t first,
                                  std::int64_t last, float* to_x, float* to_weight) {
  for (std::int64_t row = first; row < last; ++row) {
    const float *x = of.x + row * of.width, *slope = slopes + row * of.width;
    const float scale = inverse[row];
    Lanes products{}, in, dy, weight;
    for (std::int64_t i = 0; i < of.width; i += kLanes) {
      load(in, x + i, of.width - i);
      load(dy, slope + i, of.width - i);
      load(weight, of.weight + i, of.width - i);
      products += dy * (weight + of.offset) * in;
    }
    const float along = sum_of(products) * scale * scale / static_cast<float>(of.width);
    for (std::int64_t i = 0; i < of.width; i += kLanes) {
      load(in, x + i, of.width - i);
      load(dy, slope + i, of.width - i);
      if (to_x != nullptr) {
        load(weight, of.weight + i, of.width - i);
        store(to_x + row * of.width + i, (dy * (weight + of.offset) - in * along) * scale, of.width - i);
      }
      if (to_weight != nullptr) {
        load(weight, to_weight + i, of.width - i);
        store(to_weight + i, weight + dy * in * scale, of.width - i);
      }
    }
  }
}

namespace {

constexpr std::int64_t kBlockRows = 64;  // a block; sums over rows are in the same order whatever the number of threads

struct RmsNorm : torch::autograd::Function<RmsNorm> {
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& given, const at::Tensor& weight,
                            double eps, double offset) {
    const at::Tensor x = given.contiguous();
    const std::int64_t width = x.size(-1), rows = width == 0 ? 0 : x.numel() / width;
    at::Tensor y = at::empty_like(x), inverse = at::empty({rows}, x.options());
    const NormRows of{x.const_data_ptr<float>(), weight.const_data_ptr<float>(), static_cast<float>(offset), eps, width};
    at::parallel_for(0, rows, kBlockRows,
                     [&, to = y.data_ptr<float>(), roots = inverse.data_ptr<float>()](auto first, auto last) {
                       norm_rows(of, first, last, to, roots);
                     });
    context->save_for_backward({x, weight, inverse});
    context->saved_data["offset"] = offset;
    return y;
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& slopes) {
    refuse_second_derivatives();
    const auto saved = context->get_saved_variables();
    const at::Tensor &x = saved[0], &weight = saved[1], &inverse = saved[2], slope = slopes[0].contiguous();
    const std::int64_t width = x.size(-1), rows = inverse.size(0), blocks = (rows + kBlockRows - 1) / kBlockRows;
    at::Tensor to_x, parts;
    if (context->needs_input_grad(0)) to_x = at::empty_like(x);
    if (context->needs_input_grad(1)) parts = at::zeros({blocks, width}, x.options());
    const NormRows of{x.const_data_ptr<float>(), weight.const_data_ptr<float>(),
                      static_cast<float>(context->saved_data["offset"].toDouble()), 0, width};
    const float *dy = slope.const_data_ptr<float>(), *roots = inverse.const_data_ptr<float>();
    float *dx = to_x.defined() ? to_x.data_ptr<float>() : nullptr, *dw = parts.defined() ? parts.data_ptr<float>() : nullptr;
    at::parallel_for(0, blocks, 1, [&](std::int64_t first, std::int64_t last) {
      for (std::int64_t block = first; block < last; ++block) {
        norm_rows_back(of, dy, roots, block * kBlockRows, std::min(rows, (block + 1) * kBlockRows), dx,
                       dw == nullptr ? nullptr : dw + block * width);
      }
    });
    return {to_x, parts.defined() ? parts.sum(0) : parts, {}, {}};
  }
};

}  // namespace

at::Tensor rms_norm(const at::Tensor& x, const at::Tensor& weight, double eps, double offset) {
  return RmsNorm::apply(x, weight, eps, offset);
}

}  // namespace holdfast::fused
