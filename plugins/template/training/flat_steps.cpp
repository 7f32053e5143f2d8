// Learns where the loss is flat: each step takes the gradient a little further uphill (Foret et al. 2021, arXiv 2010.01412).
#include <holdfast/defense.h>

namespace {

class FlatSteps final : public holdfast::TuneStage {
 public:
  static holdfast::Card card() {
    return {.source = "Foret et al. 2021, arXiv 2010.01412, algorithm 1, with the norm over all trained weights",
            .cost = "2 forward and backward passes a step (plain: 1), and one more copy of the weights",
            .presets = {{"paper", {{"rho", 0.05}}, "image classifiers; the paper tunes no language model"}}};
  }

  explicit FlatSteps(holdfast::Params& params)
      : rho_(params.number("rho", 0.05, "how far uphill the gradient is taken; 0: plain training", 0)) {}

  double step(holdfast::Trainer& trainer) override {
    const holdfast::Batches rows = trainer.rows().next();
    if (rho_ == 0) return trainer.backward(rows);
    const holdfast::Snapshot here = trainer.snapshot();
    const holdfast::Tensors uphill = trainer.gradients(rows);
    trainer.move(uphill, rho_ / (holdfast::norm(uphill) + 1e-12));
    const double loss = trainer.backward(rows);
    trainer.restore(here);
    return loss;
  }

  bool archive(holdfast::Archive&) override { return true; }  // nothing is remembered between two steps

 private:
  double rho_;
};

}  // namespace

HOLDFAST_DEFENSE(FlatSteps, "flat-steps", 1, "Takes each gradient a little further uphill, so that flat minima are found.")
