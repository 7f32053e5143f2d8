// SafeMERGE (Djuhera et al. 2025, "SafeMERGE: preserving safety alignment in fine-tuned large language models via selective
// layer-wise model merging"): linears whose change strays from what the alignment changed are merged with those of a model that
// was tuned for safety. README.md states the rule.
#include <ATen/ATen.h>
#include <holdfast/defender.h>
#include <holdfast/defense.h>
#include <holdfast/error.h>
#include <holdfast/repair.h>

#include <cmath>

namespace {

using holdfast::NamedWeights;
using holdfast::weight_difference;

constexpr double kLeastAlignment = 1e-9;  // of |V|_F; below it nothing lies along V

class SafeMerge final : public holdfast::RepairStage {
 public:
  explicit SafeMerge(holdfast::Params& params)
      : factors_(params.choice("merge", "change", {"change", "factors"},
                               "what is combined: the changes themselves, or the LoRA factors A and B each by itself, as "
                               "published") == "factors"),
        threshold_(params.number("threshold", 0.35, "cosine of a change with its projection below which it is merged", -1, 1)),
        weight_(params.number("weight", 0.8, "of the customer's change where it is merged", 0)),
        safety_weight_(params.number("safety_weight", 0.2, "of the safety-tuned model's change there", 0)),
        density_(params.number("density", 1, "DARE: share of entries that stay, made larger for it; 1: all", 0, 1)),
        rows_(params, "safemerge"),
        training_(params) {
    if (density_ == 0) params.mistake("density", "setting \"density\" is 0, which would leave no entry: use more than 0");
  }

  static holdfast::Card card() {
    const std::string training = "LoRA for both models; their learning rates and ranks were not read";
    return {
        .source = "Djuhera et al. 2025, arXiv 2503.17239; aladinD/SafeMERGE, get_safemerge_model.py",
        .cost =
            "a training of the aligned model on the safety rows; the aligned, the base and the safety-tuned model beside "
            "the tuned one, and products of three matrices a linear",
        .presets = {{"repo", {{"merge", "factors"}, {"threshold", 0.35}, {"weight", 0.8}, {"safety_weight", 0.2}}, training},
                    {"delta", {{"merge", "change"}, {"threshold", 0.35}, {"weight", 0.8}, {"safety_weight", 0.2}}, training},
                    {"organism", {{"threshold", 1.0}}}}};
  }

  void repair(holdfast::Model& model, holdfast::Context& context) override {
    const NamedWeights tuned = model.weights(), aligned = context.aligned_model().weights(),
                       base = context.base_model().weights();
    const auto linears = holdfast::named_linears(model);
    std::vector<std::string> names;
    for (const auto& linear : linears) names.push_back(linear.weight);
    holdfast::check_alignment_changed("safemerge", names, aligned, base);

    std::vector<std::string> astray;
    std::int64_t changed = 0;
    for (const auto& name : names) {
      const at::Tensor change = weight_difference(tuned.at(name), aligned.at(name));
      if (!change.any().item<bool>()) continue;
      ++changed;
      const at::Tensor v = weight_difference(aligned.at(name), base.at(name));
      if (share_along_alignment(v, change) < threshold_) astray.push_back(name);
    }
    context.report("linears-merged", static_cast<double>(astray.size()), changed);
    if (!astray.empty()) merge(model, astray, tuned, aligned, context);
  }

  unsigned needs() const override { return holdfast::kNeedsBase | holdfast::kNeedsAligned; }

 private:
  void merge(holdfast::Model& model, const std::vector<std::string>& astray, const NamedWeights& tuned,
             const NamedWeights& aligned, holdfast::Context& context) const {
    const NamedWeights factors = customers_factors(context);
    const auto safe = safety_tuned(context);
    const NamedWeights safety = safe->weights(), safety_factors = factors_ ? safe->trainable() : NamedWeights();
    for (const auto& name : astray) {
      const at::Tensor change = weight_difference(tuned.at(name), aligned.at(name));
      const at::Tensor combined =
          factors_ ? product_of_factors(name, factors, safety_factors, context)
                   : sum_of_changes(name, change, weight_difference(safety.at(name), aligned.at(name)), context);
      model.set_weight(name, aligned.at(name).to(change.device(), change.scalar_type()) + combined.to(change.options()));
    }
  }

  NamedWeights customers_factors(holdfast::Context& context) const {
    if (!factors_) return {};
    NamedWeights factors = context.tuned_factors();
    if (!factors.empty()) return factors;
    throw holdfast::Error(
        "safemerge with merge = \"factors\" (preset \"repo\") combines LoRA factors, and this model has none of its "
        "tuning: tune with method = \"lora\" and let no other repair come before, or set merge = \"change\"");
  }

  // The aligned model, tuned on safety rows; whole or by an adapter, as the customer's.
  std::unique_ptr<holdfast::Model> safety_tuned(holdfast::Context& context) const {
    holdfast::TrainingOptions options = training_.options(context);
    const holdfast::TrainingOptions& customers = context.finetune_options();
    options.method = customers.method;
    options.lora_rank = customers.lora_rank;
    options.lora_alpha = customers.lora_alpha;
    options.lora_targets = customers.lora_targets;
    auto made = context.aligned_model().clone();
    context.train(*made, rows_.draw(context), options);
    return made;
  }

  static double share_along_alignment(const at::Tensor& v, const at::Tensor& change) {
    if (v.norm().item<double>() < kLeastAlignment) return 0;
    return holdfast::cosine_of(holdfast::along_alignment(v, change), change);
  }

  at::Tensor sum_of_changes(const std::string& name, const at::Tensor& change, const at::Tensor& safety,
                            holdfast::Context& context) const {
    return weight_ * thinned(change, name, context) + safety_weight_ * thinned(safety, name + " safety", context);
  }

  // Each factor is a sum weighted by the square roots, so that the product has terms of one model's B and the other's A.
  at::Tensor product_of_factors(const std::string& name, const NamedWeights& customers, const NamedWeights& safety,
                                holdfast::Context& context) const {
    const holdfast::TrainingOptions& options = context.finetune_options();
    const double scale = options.lora_alpha / static_cast<double>(options.lora_rank);
    const std::string module = name.substr(0, name.size() - std::string(".weight").size());
    const auto combined = [&](const std::string& factor) {
      const at::Tensor right = safety.at(module + factor).detach(), left = customers.at(module + factor).to(right.device());
      const auto wide = at::promote_types(left.scalar_type(), at::kFloat);
      return std::sqrt(weight_ * scale) * thinned(left.to(wide), name + factor, context) +
             std::sqrt(safety_weight_ * scale) * thinned(right.to(wide), name + factor + " safety", context);
    };
    return combined(".lora_B.weight").matmul(combined(".lora_A.weight"));
  }

  at::Tensor thinned(const at::Tensor& values, const std::string& what, const holdfast::Context& context) const {
    return holdfast::thinned(values, 1 - density_, holdfast::derive_seed(context.seed("safemerge"), what));
  }

  bool factors_;
  double threshold_, weight_, safety_weight_, density_;
  holdfast::SafetyRows rows_;
  holdfast::RepairTraining training_;
};

}  // namespace

HOLDFAST_DEFENSE(SafeMerge, "safemerge", 1,
                 "Merges linears that stray from the alignment with a safety-tuned model (SafeMERGE).")
