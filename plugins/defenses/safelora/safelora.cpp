// Safe LoRA (Hsu et al. 2024, "Safe LoRA: the silver lining of reducing safety risks when fine-tuning large language models"):
// after tuning, the change of some linears is projected onto what the alignment changed there. README.md states the rule.
#include <ATen/ATen.h>
#include <holdfast/defense.h>
#include <holdfast/repair.h>

#include <algorithm>
#include <cmath>

namespace {

using holdfast::NamedWeights;
using holdfast::weight_difference;

struct Change {
  std::string linear;
  double cosine = 0;  // between the change and its projection
};

class SafeLora final : public holdfast::RepairStage {
 public:
  explicit SafeLora(holdfast::Params& params)
      : exact_(params.choice("projection", "approximate", {"approximate", "exact"},
                             "approximate: V V^T / |V|_F, as published; exact: the orthogonal projector onto V's columns") ==
               "exact"),
        tolerance_(params.number("rank_tolerance", 1e-3,
                                 "exact: directions of V count whose singular value is above this share of the largest", 0, 1)),
        by_number_(params.choice("select", "number", {"number", "threshold"},
                                 "which changes are projected: the `number` least aligned, or those up to `threshold`") ==
                   "number"),
        number_(params.integer("number", 10, "linears to project; all that were changed where those are fewer", 1)),
        threshold_(
            params.number("threshold", 0.5, "cosine of a change with its projection up to which it is projected", -1, 1)) {}

  static holdfast::Card card() {
    return {.source = "Hsu et al. 2024, arXiv 2405.16833; IBM/SafeLoRA, model.py",
            .cost =
                "no pass; the aligned and the base model beside the tuned one, and products of three matrices a linear; "
                "\"exact\" a singular value decomposition a linear",
            .presets = {{"repo",
                         {{"projection", "approximate"}, {"select", "number"}, {"number", 10}},
                         "not read: the code repairs an adapter that exists"},
                        {"exact", {{"projection", "exact"}, {"select", "number"}, {"number", 10}}}}};
  }

  void repair(holdfast::Model& model, holdfast::Context& context) override {
    const NamedWeights tuned = model.weights(), aligned = context.aligned_model().weights(),
                       base = context.base_model().weights();
    std::vector<std::string> linears;
    for (const auto& linear : holdfast::named_linears(model)) linears.push_back(linear.weight);
    holdfast::check_alignment_changed("safelora", linears, aligned, base);
    const auto projection = [&](const std::string& name) {
      return projected(weight_difference(aligned.at(name), base.at(name)), weight_difference(tuned.at(name), aligned.at(name)));
    };

    std::vector<Change> changes;
    std::int64_t unaligned = 0;
    for (const auto& name : linears) {
      const at::Tensor change = weight_difference(tuned.at(name), aligned.at(name));
      if (!change.any().item<bool>()) continue;
      if (!weight_difference(aligned.at(name), base.at(name)).any().item<bool>()) {
        ++unaligned;
        continue;
      }
      changes.push_back({name, cosine(change, projection(name))});
    }

    const double limit = by_number_ ? number_th_smallest(changes) : threshold_;
    std::int64_t count = 0;
    for (const auto& change : changes) {
      if (change.cosine > limit) continue;
      const at::Tensor kept = projection(change.linear);
      model.set_weight(change.linear, aligned.at(change.linear).to(kept.device(), kept.scalar_type()) + kept);
      ++count;
    }
    const auto changed = static_cast<std::int64_t>(changes.size()) + unaligned;
    context.report("linears-projected", static_cast<double>(count), changed);
    context.report("linears-never-aligned", static_cast<double>(unaligned), changed);
  }

  unsigned needs() const override { return holdfast::kNeedsBase | holdfast::kNeedsAligned; }

 private:
  // C change, with C of the alignment's change V.
  at::Tensor projected(const at::Tensor& v, const at::Tensor& change) const {
    if (!exact_) return holdfast::along_alignment(v, change);
    const auto [u, values, vh] = at::linalg_svd(v, /*full_matrices=*/false);
    const auto rank = (values > values[0] * tolerance_).sum().item<std::int64_t>();
    const at::Tensor columns = u.narrow(1, 0, rank);
    return at::linalg_multi_dot({columns, columns.t(), change});
  }

  // To five decimals, as the published code compares them.
  static double cosine(const at::Tensor& change, const at::Tensor& projection) {
    return std::round(holdfast::cosine_of(change, projection) * 1e5) / 1e5;
  }

  // Equal cosines can make more than `number` of them lie at or below it.
  double number_th_smallest(const std::vector<Change>& changes) const {
    std::vector<double> cosines;
    for (const auto& change : changes) cosines.push_back(change.cosine);
    std::sort(cosines.begin(), cosines.end());
    const auto place = std::min<std::size_t>(static_cast<std::size_t>(number_), cosines.size());
    return place > 0 ? cosines[place - 1] : 0;
  }

  bool exact_;
  double tolerance_;
  bool by_number_;
  std::int64_t number_;
  double threshold_;
};

}  // namespace

HOLDFAST_DEFENSE(SafeLora, "safelora", 1, "Projects what tuning changed onto what the alignment changed (Safe LoRA).")
