#include "model/fused/embedding.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>

#include "model/fused/once.h"
#include "model/untouched_zeros.h"

namespace holdfast::fused {
namespace {

struct Embedding : torch::autograd::Function<Embedding> {
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& weight, const at::Tensor& ids) {
    context->save_for_backward({ids});
    context->saved_data["rows"] = weight.size(0);
    return at::embedding(weight, ids);
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& slopes) {
    refuse_second_derivatives();
    const at::Tensor& slope = slopes[0];
    at::Tensor to_weight = untouched_zeros({context->saved_data["rows"].toInt(), slope.size(1)}, slope.scalar_type());
    to_weight.index_add_(0, context->get_saved_variables()[0], slope);
    return {to_weight, {}};
  }
};

}  // namespace

at::Tensor embedding(const at::Tensor& weight, const at::Tensor& ids) { return Embedding::apply(weight, ids); }

}  // namespace holdfast::fused
