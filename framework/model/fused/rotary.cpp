#include "model/fused/rotary.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <torch/csrc/autograd/custom_function.h>

#include "model/fused/lanes.h"
#include "model/fused/once.h"

namespace holdfast::fused {

struct Turns {
  const float *cos, *sin;
  std::int64_t heads, half;
  float direction;      // 1, or -1 for back
  std::int64_t stride;  // from row to row of x
};

HOLDFAST_WIDE void turn_rows(const Turns& by, const float* x, std::int64_t first, std::int64_t last, float* y) {
  for (std::int64_t row = first; row < last; ++row) {
    for (std::int64_t head = 0; head < by.heads; ++head) {
      const std::int64_t from = row * by.stride + head * 2 * by.half, at = (row * by.heads + head) * 2 * by.half;
      for (std::int64_t i = 0; i < by.half; i += kLanes) {
        const std::int64_t count = by.half - i;
        Lanes low, high, cos, sin;
        load(low, x + from + i, count);
        load(high, x + from + by.half + i, count);
        load(cos, by.cos + row * by.half + i, count);
        load(sin, by.sin + row * by.half + i, count);
        sin *= by.direction;
        store(y + at + i, low * cos - high * sin, count);
        store(y + at + by.half + i, high * cos + low * sin, count);
      }
    }
  }
}

namespace {

constexpr std::int64_t kTurnedRows = 32;

at::Tensor turned(const at::Tensor& given, const at::Tensor& cos, const at::Tensor& sin, float direction) {
  // Rows may lie apart, as those of a product that was made with others.
  const bool whole_heads = given.stride(2) == 1 && given.stride(1) == given.size(2);
  const at::Tensor x = whole_heads ? given : given.contiguous();
  at::Tensor y = at::empty(x.sizes(), x.options());
  const Turns by{cos.const_data_ptr<float>(), sin.const_data_ptr<float>(), x.size(1), x.size(2) / 2, direction, x.stride(0)};
  at::parallel_for(0, x.size(0), kTurnedRows,
                   [&, from = x.const_data_ptr<float>(), to = y.data_ptr<float>()](auto first, auto last) {
                     turn_rows(by, from, first, last, to);
                   });
  return y;
}

struct Rotation : torch::autograd::Function<Rotation> {
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& x, const at::Tensor& cos,
                            const at::Tensor& sin) {
    context->save_for_backward({cos, sin});
    return turned(x, cos, sin, 1);
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& slopes) {
    refuse_second_derivatives();
    const auto saved = context->get_saved_variables();
    return {turned(slopes[0], saved[0], saved[1], -1), {}, {}};
  }
};

}  // namespace

at::Tensor rotate(const at::Tensor& x, const at::Tensor& cos, const at::Tensor& sin) {
  return Rotation::apply(x, cos.contiguous(), sin.contiguous());
}

}  // namespace holdfast::fused
