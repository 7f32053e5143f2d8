#include <ATen/ATen.h>
#include <holdfast/error.h>
#include <holdfast/repair.h>

#include <algorithm>

namespace holdfast {

std::vector<NamedLinear> named_linears(const Model& model) {
  std::vector<NamedLinear> all;
  for (std::int64_t block = 0; block < model.layers(); ++block) {
    for (auto& weight : model.linears(block)) {
      const auto end = weight.rfind('.'), begin = weight.rfind('.', end - 1) + 1;
      all.push_back({block, weight.substr(begin, end - begin), weight});
    }
  }
  return all;
}

at::Tensor weight_difference(const at::Tensor& left, const at::Tensor& right) {
  const auto wide = at::promote_types(left.scalar_type(), at::kFloat);
  return left.to(wide) - right.to(left.device(), wide);
}

at::Tensor along_alignment(const at::Tensor& v, const at::Tensor& change) {
  return at::linalg_multi_dot({v, v.t(), change}) / v.norm();
}

double cosine_of(const at::Tensor& a, const at::Tensor& b) {
  const double lengths = a.norm().item<double>() * b.norm().item<double>();
  return lengths > 0 ? (a * b).sum().item<double>() / lengths : 0;
}

at::Tensor thinned(const at::Tensor& values, double share, std::uint64_t seed) {
  if (share == 0) return values;
  Random random(seed);
  at::Tensor kept = at::empty(values.sizes(), at::kBool);
  auto* each = kept.data_ptr<bool>();
  for (std::int64_t i = 0; i < kept.numel(); ++i) each[i] = random.uniform() >= share;
  return at::where(kept.to(values.device()), values / (1 - share), at::zeros_like(values));
}

void check_alignment_changed(const std::string& who, const std::vector<std::string>& names, const NamedWeights& aligned,
                             const NamedWeights& base) {
  bool any = false;
  for (const auto& name : names) {
    const auto other = base.find(name);
    if (other == base.end() || other->second.sizes() != aligned.at(name).sizes()) {
      throw Error(who + " compares the aligned model with its base, and the base has no weight \"" + name +
                  "\" of that shape: name the checkpoint that the alignment started from as base");
    }
    any = any || weight_difference(aligned.at(name), other->second).any().item<bool>();
  }
  if (any) return;
  throw Error(who + " goes by what the alignment changed, and its base is the same as the aligned model there: name the " +
              "checkpoint that the alignment started from as base, or leave " + who + " out");
}

RepairTraining::RepairTraining(Params& params)
    : epochs_(params.integer("epochs", 0, "0: as the alignment did")),
      lr_(params.number("lr", 0, "learning rate; 0: as the alignment did", 0)),
      batch_size_(params.integer("batch_size", 0, "0: as the alignment did")) {}

TrainingOptions RepairTraining::options(const Context& context) const {
  TrainingOptions options = context.align_options();
  if (epochs_ > 0) options.epochs = epochs_;
  if (lr_ > 0) options.lr = lr_;
  if (batch_size_ > 0) options.batch_size = batch_size_;
  return options;
}

}  // namespace holdfast
