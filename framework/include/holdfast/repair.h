// What repairs of weights share: a model's linears, what one model has beyond another, and a training of the defender's own.
#pragma once

#include <holdfast/context.h>
#include <holdfast/params.h>

namespace HOLDFAST_PUBLIC holdfast {

/// Weights by checkpoint name, as Model::weights() gives them.
using NamedWeights = std::map<std::string, at::Tensor>;

/// One linear of one block.
struct NamedLinear {
  std::int64_t block = 0;
  std::string name;    // "q_proj", as Taps and lora_targets have it
  std::string weight;  // "model.layers.0.self_attn.q_proj.weight", as weights() and set_weight() have it
};

/// All of them, block by block in the order of the forward.
std::vector<NamedLinear> named_linears(const Model& model);

/// left - right of one weight, in at least float32 and on left's device.
at::Tensor weight_difference(const at::Tensor& left, const at::Tensor& right);

/// V V^T change / |V|_F: what of a change (out, in) lies along what the alignment changed, V (out, in), by the published
/// approximation of a projection. Safe LoRA (arXiv 2405.16833), SafeMERGE (2503.17239).
at::Tensor along_alignment(const at::Tensor& v, const at::Tensor& change);

/// Of all entries of both, read as one vector each; 0 where one of them is zero.
double cosine_of(const at::Tensor& a, const at::Tensor& b);

/// DARE (arXiv 2311.03099): each entry is zero with probability `share`, below 1, and 1 / (1 - share) times itself otherwise. A
/// function of the seed; a share of 0 changes no bit.
at::Tensor thinned(const at::Tensor& values, double share, std::uint64_t seed);

/// For repairs that need what the alignment changed: throws Error, in which `who` speaks, unless the base has each of these
/// weights in the aligned model's shape, and not all of them are the aligned model's.
void check_alignment_changed(const std::string& who, const std::vector<std::string>& names, const NamedWeights& aligned,
                             const NamedWeights& base);

/// The settings "epochs", "lr" and "batch_size" of a repair that trains: 0 for the alignment's.
class RepairTraining {
 public:
  explicit RepairTraining(Params& params);

  /// The alignment's options with these settings.
  TrainingOptions options(const Context& context) const;

 private:
  std::int64_t epochs_;
  double lr_;
  std::int64_t batch_size_;
};

}  // namespace holdfast
