// AdamW and gradient clipping.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace holdfast {

/// Loshchilov and Hutter 2019, arXiv 1711.05101: decoupled weight decay; betas 0.9 and 0.999, eps 1e-8, bias correction. One
/// fused kernel updates all tensors. Parameters kept in 16 bits have a float32 master, since steps of the usual learning
/// rates vanish in their rounding.
class AdamW {
 public:
  AdamW(std::vector<at::Tensor> parameters, double weight_decay);
  /// One update from the parameters' gradients; those without a gradient stay as they are.
  void step(double lr);
  /// Forgets the gradients.
  void zero_grad();

  /// All that the next steps depend on beside gradients: weights in full precision, moments, numbers of steps. The tensors are
  /// the optimizer's own.
  std::map<std::string, at::Tensor> state() const;
  /// Goes on from such a state, the parameters too. False, and nothing is changed, when it is one of other parameters.
  bool restore(const std::map<std::string, at::Tensor>& state);

 private:
  struct Slot {
    at::Tensor parameter;
    at::Tensor master;  // the parameter itself when it is float32 or float64
    at::Tensor mean, square, steps;
  };
  void round_masters();  // into the 16-bit parameters they stand for

  std::vector<Slot> slots_;
  double weight_decay_;
};

/// Scales all gradients by max_norm / (norm + 1e-6) when their common 2-norm exceeds max_norm (0: never). Returns the norm
/// before.
double clip_gradients(const std::vector<at::Tensor>& parameters, double max_norm);

}  // namespace holdfast
