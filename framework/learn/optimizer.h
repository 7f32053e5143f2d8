// Trained weights in full precision, AdamW and gradient clipping.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "learn/eight_bit.h"

namespace holdfast {

/// Where AdamW's moments and the masters of 16-bit weights are while they rest.
enum class OptimizerStates {
  kFloat32,   // beside the weights
  kEightBit,  // beside the weights, moments in 8 bits
  kHost,      // in the host's memory, pinned where CUDA computes; a step brings them over one weight at a time
};

/// "float32", "8bit" or "host".
OptimizerStates optimizer_states(const std::string& option);

/// Parameters kept in 16 bits have a float32 master, since steps of the usual learning rates vanish in their rounding; others
/// are their own. Whatever changes a trained weight changes its master, and rounds.
class MasterWeights {
 public:
  explicit MasterWeights(std::vector<at::Tensor> parameters, OptimizerStates states = OptimizerStates::kFloat32);

  const std::vector<at::Tensor>& parameters() const { return parameters_; }
  const std::vector<at::Tensor>& values() const { return values_; }
  void assign(const std::vector<at::Tensor>& values);
  void move(const std::vector<at::Tensor>& direction, double distance);
  /// Masters into the 16-bit parameters that they stand for.
  void round();

 private:
  std::vector<at::Tensor> parameters_, values_;
};

/// Loshchilov and Hutter 2019, arXiv 1711.05101: decoupled weight decay; betas 0.9 and 0.999, eps 1e-8, bias correction. One
/// fused kernel updates all tensors. kHost computes the same bits. kEightBit keeps the moments of weights of 4,096 numbers or
/// more in blocks of 8 bits between steps (Dettmers et al. 2021, arXiv 2110.02861); a step itself computes in float32.
class AdamW {
 public:
  /// The weights must outlive it.
  AdamW(MasterWeights& weights, double weight_decay, OptimizerStates states = OptimizerStates::kFloat32);
  /// One update from the gradients; weights whose gradient is undefined stay as they are.
  void step(const std::vector<at::Tensor>& gradients, double lr);

  /// Means, squares and numbers of steps, in this order for each weight, and the scales of 8-bit means and squares: the
  /// optimizer's own tensors.
  std::vector<at::Tensor> moments() const;
  void assign_moments(const std::vector<at::Tensor>& moments);

  /// All that the next steps depend on beside gradients: weights in full precision and moments. The tensors are those in use.
  std::map<std::string, at::Tensor> state() const;
  /// Goes on from such a state, the parameters too. False, and nothing is changed, when it is one of other parameters.
  bool restore(const std::map<std::string, at::Tensor>& state);

 private:
  struct Slot {
    at::Tensor mean, square;  // undefined where codes stand for them
    at::Tensor steps;
    std::optional<EightBit> mean_codes = {}, square_codes = {};

    std::vector<std::pair<std::string, at::Tensor>> tensors() const;
  };
  Slot new_slot(const at::Tensor& parameter, const at::Tensor& value) const;
  void update(const std::vector<at::Tensor>& values, const std::vector<at::Tensor>& gradients,
              const std::vector<at::Tensor>& means, const std::vector<at::Tensor>& squares,
              const std::vector<at::Tensor>& steps, double lr) const;
  void step_by_parts(Slot& slot, const at::Tensor& value, const at::Tensor& gradient, double lr);
  void step_from_host(const Slot& slot, const at::Tensor& value, const at::Tensor& gradient, double lr);

  MasterWeights& weights_;
  std::vector<Slot> slots_;
  double weight_decay_;
  OptimizerStates states_;
};

/// The parameters' gradients, undefined ones included.
std::vector<at::Tensor> gradients_of(const std::vector<at::Tensor>& parameters);

/// Scales all gradients by max_norm / (norm + 1e-6) when their common 2-norm exceeds max_norm (0: never). Returns the norm
/// before.
double clip_gradients(const std::vector<at::Tensor>& parameters, double max_norm);

}  // namespace holdfast
