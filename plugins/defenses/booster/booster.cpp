// Booster (Huang et al. 2024, "Booster: tackling harmful fine-tuning via attenuating harmful perturbation"): align so that a
// step on harmful rows lowers the loss on them little. With f the loss of the alignment rows and h that of harmful rows, a step
// descends f(w) + lambda (h(w) - h(w')), where w' = w - alpha grad h(w) / |grad h(w)| is held fixed relative to w: no second
// derivatives.
#include <holdfast/defense.h>

namespace {

class Booster final : public holdfast::AlignStage {
 public:
  explicit Booster(holdfast::Params& params)
      : alpha_(params.number("alpha", 0.1, "length of the simulated harmful step, over all trained weights together", 0)),
        lambda_(params.number("lambda", 5, "weight of what that step would gain; 0: plain alignment", 0)),
        harmful_(params.corpus("harmful", "defender-harmful", "the corpus of harmful rows")),
        rows_(params.integer("rows", 0, "harmful rows that the defender holds; 0: all of the corpus")) {}

  static holdfast::Card card() {
    return {.source = "Huang et al. 2024, arXiv 2409.01586, algorithm 1; git-disl/Booster",
            .cost = "3 forward and backward passes a step (plain: 1); the weights once more, three lists of gradients",
            .presets = {
                {"paper",
                 {{"alpha", 0.1}, {"lambda", 5.0}},
                 "LoRA of rank 32, alpha 4 on q, k and v; AdamW, lr 5e-4, weight decay 0.1, 20 epochs, batches of 10; 5,000 "
                 "alignment rows, 5,000 harmful ones"},
                {"organism", {{"lambda", 5.0}}}}};
  }

  void begin(holdfast::Trainer& trainer) override { stream_ = &trainer.stream("harmful", harmful_rows(trainer.context())); }

  double step(holdfast::Trainer& trainer) override {
    const holdfast::Batches harmful = stream_->next();
    const holdfast::Snapshot here = trainer.snapshot();
    const holdfast::Tensors gradient = trainer.gradients(harmful);
    trainer.move(gradient, -alpha_ / (holdfast::norm(gradient) + 1e-7));
    const holdfast::Tensors behind = trainer.gradients(harmful);
    trainer.restore(here);

    const double loss = trainer.backward(trainer.rows().next());
    trainer.add_gradient(difference(gradient, behind), lambda_);
    return loss;
  }

  bool archive(holdfast::Archive&) override { return true; }  // nothing is kept between two steps

 private:
  holdfast::Dataset harmful_rows(holdfast::Context& context) const {
    return holdfast::defender_rows(context.corpus(harmful_), rows_, "booster", "the corpus \"" + harmful_ + "\"", context);
  }

  // One list, so that 16-bit gradients are rounded once.
  static holdfast::Tensors difference(const holdfast::Tensors& a, const holdfast::Tensors& b) {
    holdfast::Tensors difference;
    for (std::size_t i = 0; i < a.size(); ++i) difference.push_back(a[i].sub(b[i]));
    return difference;
  }

  double alpha_, lambda_;
  std::string harmful_;
  std::int64_t rows_;
  holdfast::Stream* stream_ = nullptr;
};

}  // namespace

HOLDFAST_DEFENSE(Booster, "booster", 1, "Aligns so that a step on harmful rows gains little (Booster).")
