#include "model/flops.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/function_hook.h>

#include <atomic>
#include <memory>

#include "model/product.h"

namespace holdfast {
namespace {

std::atomic<std::uint64_t> flops{0};

void count(std::int64_t more) { flops.fetch_add(static_cast<std::uint64_t>(more), std::memory_order_relaxed); }

// Behind the backward of one product. A gradient that nobody asked for is undefined there; one of a bias has one dimension, and
// is a sum.
class GradientsOfProduct final : public torch::autograd::FunctionPostHook {
 public:
  explicit GradientsOfProduct(std::int64_t each) : each_(each) {}

  torch::autograd::variable_list operator()(const torch::autograd::variable_list& gradients,
                                            const torch::autograd::variable_list&) override {
    for (const auto& gradient : gradients) {
      if (gradient.defined() && gradient.dim() == 2) count(each_);
    }
    return gradients;
  }

 private:
  std::int64_t each_;
};

at::Tensor counted(at::Tensor product, std::int64_t inner) {
  const std::int64_t each = 2 * product.numel() * inner;
  count(each);
  if (const auto& made = product.grad_fn()) made->add_post_hook(std::make_unique<GradientsOfProduct>(each));
  return product;
}

}  // namespace

std::uint64_t flops_so_far() { return flops.load(std::memory_order_relaxed); }

at::Tensor counted_linear(const at::Tensor& x, const at::Tensor& weight, const std::optional<at::Tensor>& bias) {
  if (!has_row_product(x, weight)) return counted(at::linear(x, weight, bias), weight.size(1));
  const at::Tensor product = counted(row_product(x, weight), weight.size(1));
  return bias ? product + *bias : product;
}

at::Tensor counted_linears(const at::Tensor& x, const PackedProduct& weights) {
  const at::Tensor product = weights(x);
  count(2 * product.numel() * weights.in());
  return product;
}

at::Tensor counted_addition(const at::Tensor& y, const at::Tensor& a, const at::Tensor& b, double scale) {
  at::Tensor sum = at::addmm(y, a, b.t(), 1, scale);
  const std::int64_t each = 2 * y.numel() * a.size(1);
  count_flops(sum, each, (a.requires_grad() + b.requires_grad()) * each);
  return sum;
}

at::Tensor counted_product(const at::Tensor& a, const at::Tensor& b) { return counted(at::mm(a, b), a.size(1)); }

void count_flops(const at::Tensor& made, std::int64_t forward, std::int64_t backward) {
  count(forward);
  if (made.requires_grad()) made.register_hook([backward](const at::Tensor&) { count(backward); });
}

}  // namespace holdfast
