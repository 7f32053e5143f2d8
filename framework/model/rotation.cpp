#include "model/rotation.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>

#include "model/fused/once.h"
#include "model/fused/rotary.h"

namespace holdfast {
namespace {

// By the angle, or back. Two passes over each half and nothing between them is kept, which is what a GPU waits for.
at::Tensor turned(const at::Tensor& x, const at::Tensor& cos, const at::Tensor& sin, int direction) {
  at::Tensor out = at::empty(x.sizes(), x.options());
  const auto from = x.chunk(2, -1), to = out.chunk(2, -1);
  at::Tensor first = to[0], second = to[1];
  at::mul_out(first, from[0], cos).addcmul_(from[1], sin, -direction);
  at::mul_out(second, from[1], cos).addcmul_(from[0], sin, direction);
  return out;
}

// The gradient of a rotation is the rotation back, of which only the angle need be kept.
struct Rotation : torch::autograd::Function<Rotation> {
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& x, const at::Tensor& cos,
                            const at::Tensor& sin) {
    context->save_for_backward({cos, sin});
    return turned(x, cos, sin, 1);
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& slopes) {
    const auto saved = context->get_saved_variables();
    return {turned(slopes[0], saved[0], saved[1], -1), {}, {}};
  }
};

}  // namespace

at::Tensor rotated(const at::Tensor& x, const at::Tensor& cos, const at::Tensor& sin) {
  if (fused::serves(x)) return fused::rotate(x, cos, sin);
  if (x.is_cuda()) return Rotation::apply(x, cos, sin);
  const auto halves = x.chunk(2, -1);
  return at::cat({halves[0] * cos - halves[1] * sin, halves[1] * cos + halves[0] * sin}, -1);
}

}  // namespace holdfast
