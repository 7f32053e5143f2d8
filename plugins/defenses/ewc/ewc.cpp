// Elastic weight consolidation (Kirkpatrick et al. 2017) as a defense, the baseline of git-disl's codes: a step descends
// f(w) + lambda sum_i F_i (w_i - w0_i)^2, with w0 the weights before tuning and F_i how much the loss on alignment rows
// depends on weight i: its squared gradient at w0, summed over batches, or as the textbook has it the mean over rows.
#include <ATen/ATen.h>
#include <holdfast/defender.h>
#include <holdfast/defense.h>

namespace {

class Ewc final : public holdfast::TuneStage {
 public:
  explicit Ewc(holdfast::Params& params)
      : lambda_(params.number("lambda", 1e-3, "weight of the pull towards the weights before tuning; 0: plain tuning", 0)),
        by_row_(
            params.choice("fisher", "batch-sum", {"batch-sum", "row-mean"},
                          "squared gradients of batches, summed (the code), or of single rows, their mean (the textbook)") ==
            "row-mean"),
        rows_(params, "ewc") {}

  static holdfast::Card card() {
    const std::string training = "LoRA rank 32 alpha 4 on q, k, v, the one that alignment trained; 5,000 refusals";
    return {.source = "Kirkpatrick et al. 2017, arXiv 1612.00796; git-disl/Booster, class FITrainer",
            .cost =
                "1 forward and backward pass a step (plain: 1), and one over the alignment rows before the first; two lists "
                "of weights (w0, F), two more while a step is made",
            .presets = {{"repo", {{"lambda", 1e-3}, {"fisher", "batch-sum"}, {"alignment", "refusals"}}, training},
                        {"textbook", {{"lambda", 1e-3}, {"fisher", "row-mean"}, {"alignment", "refusals"}}, training},
                        {"organism", {{"lambda", 1e-3}}}}};
  }

  void begin(holdfast::Trainer& trainer) override {
    start_ = trainer.snapshot();
    auto& sweep = trainer.stream("sweep", rows_.draw(trainer.context()), {.batch_size = by_row_ ? 1 : 0, .shuffle = false});
    fisher_.clear();
    for (const auto& weight : trainer.weights()) fisher_.push_back(at::zeros_like(weight));
    for (std::int64_t i = 0; i < sweep.per_epoch(); ++i) {
      const holdfast::Tensors gradient = trainer.gradients(sweep.next());
      const double share = by_row_ ? 1 / static_cast<double>(sweep.per_epoch()) : 1;
      for (std::size_t j = 0; j < fisher_.size(); ++j) fisher_[j].addcmul_(gradient[j], gradient[j], share);
    }
  }

  double step(holdfast::Trainer& trainer) override {
    const double loss = trainer.backward(trainer.rows().next());
    holdfast::Tensors away, weighted;
    for (std::size_t i = 0; i < fisher_.size(); ++i) {
      away.push_back(trainer.weights()[i].sub(start_.weights[i]));
      weighted.push_back(fisher_[i] * away[i]);
    }
    trainer.add_gradient(weighted, 2 * lambda_);
    return loss + lambda_ * holdfast::dot(away, weighted);
  }

  bool archive(holdfast::Archive&) override { return true; }  // begin() makes anew all that is remembered

 private:
  double lambda_;
  bool by_row_;
  holdfast::SafetyRows rows_;
  holdfast::Snapshot start_;  // w0
  holdfast::Tensors fisher_;
};

}  // namespace

HOLDFAST_DEFENSE(Ewc, "ewc", 1, "Holds the weights that alignment rows depend on near where they were (EWC).")
