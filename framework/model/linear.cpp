#include "model/linear.h"

#include <ATen/ATen.h>

#include "model/flops.h"

namespace holdfast {

at::Tensor Linear::operator()(const at::Tensor& x) const {
  const at::Tensor y = counted_linear(x, weight, bias);
  return lora == nullptr ? y : y + update(x);
}

at::Tensor Linear::completed(const at::Tensor& x, const at::Tensor& product) const {
  const at::Tensor y = bias ? product + *bias : product;
  return lora == nullptr ? y : y + update(x);
}

at::Tensor Linear::update(const at::Tensor& x) const {
  return counted_linear(counted_linear(x, lora->a), lora->b) * lora->scale;
}

at::Tensor Linear::effective_weight() const {
  return lora == nullptr ? weight : at::add(weight, counted_product(lora->b, lora->a), lora->scale);
}

}  // namespace holdfast
