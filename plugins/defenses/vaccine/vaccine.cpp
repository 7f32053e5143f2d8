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

  double step(holdfast::Trainer& trainer, const holdfast::Batch& batch) override {
    holdfast::Taps taps(trainer.model(), holdfast::Site::kAttention);
    const at::Tensor plain = trainer.loss(batch);
    const auto offsets = perturbation(trainer.gradients(plain, taps.all()));
    for (std::size_t i = 0; i < offsets.size(); ++i) taps.offset(taps.layers()[i], offsets[i]);
    const at::Tensor perturbed = trainer.loss(batch);
    trainer.backward(perturbed);
    return perturbed.item<double>();
  }

 private:
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
