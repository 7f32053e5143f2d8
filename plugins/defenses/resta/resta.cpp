// RESTA (Bhardwaj, Anh, Poria 2024, "Language models are Homer Simpson! Safety re-alignment of fine-tuned language models
// through task arithmetic"): a safety vector, what the aligned model has beyond an unaligned one, is added to the tuned
// weights. README.md states the rule.
#include <ATen/ATen.h>
#include <holdfast/defender.h>
#include <holdfast/defense.h>
#include <holdfast/repair.h>

namespace {

using holdfast::NamedWeights;

class Resta final : public holdfast::RepairStage {
 public:
  explicit Resta(holdfast::Params& params)
      : gamma_(params.number("gamma", 1, "weight of the safety vector; 0: none", 0)),
        harmful_tuned_(params.choice("unaligned", "harmful-tuned", {"harmful-tuned", "base"},
                                     "what the safety vector leads away from: the aligned model trained on harmful rows of the "
                                     "defender's, or the model before alignment") == "harmful-tuned"),
        drop_(
            params.number("drop", 0, "DARE: share of entries that are dropped, the others made larger for it; 0: none", 0, 1)),
        drop_vector_(params.choice("drop_from", "safety-vector", {"safety-vector", "change"},
                                   "where entries are dropped: in the safety vector, or in what tuning changed") ==
                     "safety-vector"),
        corpus_(params.corpus("harmful", "defender-harmful", "corpus of the rows for \"harmful-tuned\"")),
        rows_(params.integer("rows", 0, "harmful rows to use; 0: all of them")),
        training_(params) {
    if (drop_ == 1) params.mistake("drop", "setting \"drop\" is 1, which would drop every entry: use less than 1");
  }

  static holdfast::Card card() {
    return {.source =
                "Bhardwaj, Anh, Poria 2024, arXiv 2402.11746: the abstract; which unaligned model, as two third parties "
                "have it",
            .cost =
                "\"harmful-tuned\": a training of the aligned model on the harmful rows; \"base\": no pass; the aligned and "
                "the unaligned model beside the tuned one",
            .presets = {{"harmful-tuned", {{"gamma", 1.0}, {"unaligned", "harmful-tuned"}, {"drop", 0.0}}, "not known"},
                        {"base", {{"gamma", 1.0}, {"unaligned", "base"}, {"drop", 0.0}}, "not known"},
                        {"dare", {{"gamma", 1.0}, {"unaligned", "harmful-tuned"}, {"drop", 0.3}}, "not known"},
                        {"organism", {{"gamma", 0.1}, {"unaligned", "base"}}}}};
  }

  void repair(holdfast::Model& model, holdfast::Context& context) override {
    const NamedWeights tuned = model.weights(), aligned = context.aligned_model().weights();
    std::unique_ptr<holdfast::Model> made;
    const NamedWeights unaligned = harmful_tuned_ ? harmful_tuned(made, context) : base(aligned, context);
    const std::uint64_t seed = context.seed("resta");
    for (const auto& [name, weight] : tuned) {
      const at::Tensor& from = aligned.at(name);
      at::Tensor safety = holdfast::weight_difference(from, unaligned.at(name)).to(weight.device());
      at::Tensor start = weight;
      if (drop_ > 0) {
        const std::uint64_t seed_of_weight = holdfast::derive_seed(seed, name);
        if (drop_vector_) {
          safety = holdfast::thinned(safety, drop_, seed_of_weight);
        } else {
          const at::Tensor change = holdfast::weight_difference(weight, from);
          start = from.to(change.device(), change.scalar_type()) + holdfast::thinned(change, drop_, seed_of_weight);
        }
      }
      model.set_weight(name, start.to(safety.scalar_type()) + gamma_ * safety);
    }
  }

  unsigned needs() const override { return holdfast::kNeedsAligned | (harmful_tuned_ ? 0 : holdfast::kNeedsBase); }

 private:
  NamedWeights harmful_tuned(std::unique_ptr<holdfast::Model>& made, holdfast::Context& context) const {
    const holdfast::Dataset rows = holdfast::harmful_rows(corpus_, rows_, "resta", context);
    made = context.aligned_model().clone();
    context.train(*made, rows, training_.options(context));
    return made->weights();
  }

  static NamedWeights base(const NamedWeights& aligned, holdfast::Context& context) {
    NamedWeights before = context.base_model().weights();
    std::vector<std::string> names;
    for (const auto& [name, weight] : aligned) names.push_back(name);
    holdfast::check_alignment_changed("resta", names, aligned, before);
    return before;
  }

  double gamma_;
  bool harmful_tuned_;
  double drop_;
  bool drop_vector_;
  std::string corpus_;
  std::int64_t rows_;
  holdfast::RepairTraining training_;
};

}  // namespace

HOLDFAST_DEFENSE(Resta, "resta", 1, "Adds what the aligned model has beyond an unaligned one to the tuned weights (RESTA).")
