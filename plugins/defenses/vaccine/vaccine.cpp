// Vaccine (Huang et al. 2024, "Vaccine: perturbation-aware alignment"): align under the embedding drift that hurts most. Pass 1
// finds the gradient of the loss at each attention output; pass 2 trains with those outputs moved along it, by rho over all
// layers together.
//
// The published code runs a whole backward in pass 1 and throws the parameters' gradients away; asking for the activations'
// gradients alone gives the same perturbation and costs less. With micro-batches each one has a norm of its own.
#include <holdfast/defense.h>

#include <cmath>

namespace {

class Vaccine final : public holdfast::AlignStage {
 public:
  explicit Vaccine(holdfast::Params& params)
      : rho_(params.number("rho", 2, "length of the perturbation over all layers together; 0: plain alignment", 0)) {}

  static holdfast::Card card() {
    return {.source = "Huang et al. 2024, arXiv 2402.01109, algorithm 1; git-disl/Vaccine",
            .cost =
                "2 forward passes, a backward pass and one to the attention outputs a step (plain: 1 and 1); these outputs and "
                "their gradients",
            .presets = {
                {"paper",
                 {{"rho", 2.0}},
                 "LoRA of rank 8 on the attention; AdamW, lr 1e-3, weight decay 0.1, 50 epochs, batches of 5; 2,000 to 5,000 "
                 "rows"},
                {"booster-rerun", {{"rho", 5.0}}, "LoRA of rank 32, alpha 4 on q, k and v; lr 5e-4, 20 epochs, batches of 10"},
                {"safetunebed", {{"rho", 0.1}}, "LoRA on all seven linears of a block"},
                {"organism", {{"rho", 0.2}}}}};
  }

  double step(holdfast::Trainer& trainer) override {
    double loss = 0;
    for (const auto& batch : trainer.rows().next()) loss += perturbed_backward(trainer, batch);
    return loss;
  }

  bool archive(holdfast::Archive&) override { return true; }  // nothing is kept between two steps

 private:
  double perturbed_backward(holdfast::Trainer& trainer, const holdfast::Batch& batch) const {
    holdfast::Taps taps(trainer.model(), holdfast::Site::kAttention);
    const at::Tensor plain = trainer.loss(batch);
    const auto offsets = perturbation(trainer.gradients(plain, taps.all()));
    for (std::size_t i = 0; i < offsets.size(); ++i) taps.offset(taps.layers()[i], offsets[i]);
    return trainer.backward({batch});
  }

  // rho * g_l / (G + 1e-7), with one norm G over the gradients of all layers.
  std::vector<at::Tensor> perturbation(const std::vector<at::Tensor>& gradients) const {
    double squares = 0;
    for (const auto& gradient : gradients) squares += gradient.square().sum().item<double>();
    const double scale = rho_ / (std::sqrt(squares) + 1e-7);
    std::vector<at::Tensor> offsets;
    for (const auto& gradient : gradients) offsets.push_back(gradient.mul(scale));
    return offsets;
  }

  double rho_;
};

}  // namespace

HOLDFAST_DEFENSE(Vaccine, "vaccine", 1, "Aligns under the worst perturbation of the attention outputs (Vaccine).")
