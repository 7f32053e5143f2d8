// A safety batch in each step (the baseline that git-disl's codes call VLGuard, after Zong et al. 2024): with f the
// cross-entropy, a step descends f(the customer's batch) + lambda f(a batch of alignment rows).
#include <ATen/ATen.h>
#include <holdfast/defender.h>
#include <holdfast/defense.h>

namespace {

class SafetyBatch final : public holdfast::TuneStage {
 public:
  explicit SafetyBatch(holdfast::Params& params)
      : lambda_(params.number("lambda", 0.1, "weight of the loss on the safety batch; 0: plain tuning", 0)),
        batch_(params.integer("batch", 4, "rows of a safety batch", 1)),
        rows_(params, "safety-batch") {}

  static holdfast::Card card() {
    return {.source = "git-disl/Booster, class VlguardTrainer, after Zong et al. 2024 (VLGuard), arXiv 2402.02207",
            .cost = "2 forward and backward passes a step (plain: 1), the second over the safety batch; no further memory",
            .presets = {{"repo",
                         {{"lambda", 0.1}, {"batch", 4}, {"alignment", "refusals"}},
                         "LoRA rank 32 alpha 4 on q, k, v; lr 1e-4 after a warm-up of a tenth of the steps, 20 epochs, batches "
                         "of 5, weight decay 0.1, 256 tokens; 10,000 safety rows"},
                        {"organism", {{"lambda", 10.0}}}}};
  }

  void begin(holdfast::Trainer& trainer) override {
    safety_ = &trainer.stream("safety", rows_.draw(trainer.context()), {.batch_size = batch_});
  }

  double step(holdfast::Trainer& trainer) override {
    double loss = trainer.backward(trainer.rows().next());
    for (const auto& batch : safety_->next()) {
      const at::Tensor safety = -lambda_ * trainer.model().log_probs(batch).sum() / batch.normalizer;
      trainer.backward(safety);
      loss += safety.item<double>();
    }
    return loss;
  }

  bool archive(holdfast::Archive&) override { return true; }  // nothing is kept between two steps

 private:
  double lambda_;
  std::int64_t batch_;
  holdfast::SafetyRows rows_;
  holdfast::Stream* safety_ = nullptr;
};

}  // namespace

HOLDFAST_DEFENSE(SafetyBatch, "safety-batch", 1, "Learns a batch of alignment rows in each step beside the customer's.")
