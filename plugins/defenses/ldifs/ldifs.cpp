// LDIFS (Mukhoti et al. 2023, "Fine-tuning can cripple your foundation model; preserving features may be the solution") as
// git-disl's codes have it: a step descends f(w) + sum_l d_l, with d_l = rho / 2 |a_l - a_l'|^2 for what stands in layer l,
// a_l', in the model before tuning. A layer whose d_l has grown to the gate no longer counts.
#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <holdfast/defense.h>

namespace {

class Ldifs final : public holdfast::TuneStage {
 public:
  explicit Ldifs(holdfast::Params& params)
      : rho_(params.number("rho", 1e-4, "strength of the pull towards the former features; 0: plain tuning", 0)),
        gate_(params.number("gate", 0.1, "a layer counts while its term is below this, nats; 0: always", 0)),
        site_(params.choice("features", "feed-forward", {"feed-forward", "residual"},
                            "the outputs of the feed-forward blocks, or the residual stream behind the blocks") == "residual"
                  ? holdfast::Site::kBlock
                  : holdfast::Site::kFeedForward),
        every_(params.integer("every", 1, "every how many layers one counts", 1)),
        mean_(params.choice("reduction", "sum", {"sum", "mean"},
                            "squared distances: their sum over all tokens and the width, or the mean") == "mean") {}

  static holdfast::Card card() {
    return {
        .source = "Mukhoti et al. 2023, arXiv 2308.13320; git-disl/Booster, class LDIFSTrainer; arXiv 2508.06249 (residual)",
        .cost =
            "1 forward and backward pass a step (plain: 1) and a forward of the model before tuning, one more of both where "
            "a batch has several micro-batches; the weights once more, the features of all layers while a step is made",
        .presets = {{"repo",
                     {{"rho", 1e-4}, {"gate", 0.1}, {"features", "feed-forward"}, {"every", 1}, {"reduction", "sum"}},
                     "LoRA rank 32 alpha 4 on q, k, v; lr 1e-5 after a warm-up of a tenth of the steps, 20 epochs, batches of "
                     "5, clipping at 5, 256 tokens"},
                    {"residual",
                     {{"rho", 2.0}, {"gate", 0.0}, {"features", "residual"}, {"every", 5}, {"reduction", "mean"}},
                     "LoRA rank 32 alpha 64, rank-stabilised; lr 1e-4"},
                    {"organism", {{"rho", 1e-3}}}}};
  }

  void begin(holdfast::Trainer& trainer) override {
    trainer.reference();
    layers_.clear();
    for (std::int64_t layer = every_ - 1; layer < trainer.model().layers(); layer += every_) layers_.push_back(layer);
    if (layers_.empty()) {
      throw holdfast::Error("ldifs counts one of every " + std::to_string(every_) + " layers and the model has " +
                            std::to_string(trainer.model().layers()) + ": lower \"every\"");
    }
  }

  double step(holdfast::Trainer& trainer) override {
    const holdfast::Batches batches = trainer.rows().next();
    if (rho_ == 0) return trainer.backward(batches);  // to the bit: nobody listens
    double tokens = 0;
    for (const auto& batch : batches) tokens += static_cast<double>(batch.ids.size(0));
    const double scale = rho_ / 2 / (mean_ ? tokens * static_cast<double>(trainer.model().width()) : 1);
    const at::Tensor open = is_open(trainer, batches, scale);
    const holdfast::Taps now(trainer.model(), site_, layers_);
    return trainer.backward(batches, [&](const holdfast::Batch& batch) {
      const at::Tensor loss = trainer.loss(batch);  // its forward is what the taps have heard
      const at::Tensor terms = scale * distances(now, trainer.reference(), batch);
      return loss + at::where(open.defined() ? open : passes(terms), terms, at::zeros_like(terms)).sum();
    });
  }

  bool archive(holdfast::Archive&) override { return true; }  // nothing is kept between two steps

 private:
  // |a_l - a_l'|^2 of each layer, (layers).
  at::Tensor distances(const holdfast::Taps& now, const holdfast::Model& reference, const holdfast::Batch& batch) const {
    const holdfast::Taps before(reference, site_, layers_);
    {
      const c10::NoGradGuard no_grad;
      reference.hidden(batch);
    }
    std::vector<at::Tensor> distances;
    for (const auto layer : layers_) {
      const at::Tensor away = now.at(layer) - before.at(layer);
      distances.push_back(away.to(at::promote_types(away.scalar_type(), at::kFloat)).square().sum());
    }
    return at::stack(distances);
  }

  at::Tensor passes(const at::Tensor& terms) const { return gate_ == 0 ? at::ones_like(terms, at::kBool) : terms < gate_; }

  // The gate is that of the whole optimizer batch: several micro-batches are added up first. Undefined for one, whose own
  // terms tell.
  at::Tensor is_open(holdfast::Trainer& trainer, const holdfast::Batches& batches, double scale) const {
    if (batches.size() == 1 || gate_ == 0) return {};
    const c10::NoGradGuard no_grad;
    const holdfast::Taps now(trainer.model(), site_, layers_);
    at::Tensor terms;
    for (const auto& batch : batches) {
      trainer.model().hidden(batch);
      const at::Tensor part = scale * distances(now, trainer.reference(), batch);
      terms = terms.defined() ? terms + part : part;
    }
    return passes(terms);
  }

  double rho_, gate_;
  holdfast::Site site_;
  std::int64_t every_;
  bool mean_;
  std::vector<std::int64_t> layers_;
};

}  // namespace

HOLDFAST_DEFENSE(Ldifs, "ldifs", 1, "Holds the features of the layers near those of the model before tuning (LDIFS).")
