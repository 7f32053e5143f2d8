#include "model/linear.h"

#include <ATen/ATen.h>

namespace holdfast {

at::Tensor Linear::operator()(const at::Tensor& x) const {
  const at::Tensor y = at::linear(x, weight, bias);
  if (lora == nullptr) return y;
  return y + at::linear(at::linear(x, lora->a), lora->b) * lora->scale;
}

at::Tensor Linear::effective_weight() const {
  return lora == nullptr ? weight : at::add(weight, at::mm(lora->b, lora->a), lora->scale);
}

}  // namespace holdfast
