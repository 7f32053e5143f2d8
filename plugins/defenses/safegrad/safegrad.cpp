// SafeGrad (Yi et al. 2025, "Gradient surgery for safe LLM fine-tuning"): where the customer's gradient g_u works against that
// of alignment, g_a, its part along g_a is taken out; then the step goes along g_u + rho g_a. g_a is the gradient of the
// divergence from the model before tuning, on alignment rows.
#include <ATen/ATen.h>
#include <holdfast/defender.h>
#include <holdfast/defense.h>
#include <holdfast/divergence.h>

#include <algorithm>
#include <numeric>

namespace {

// As the third party has it: keeps a divergence that is nothing but rounding, as in the first step, from choosing a direction.
constexpr double kLeastSquare = 1e-12;

class SafeGrad final : public holdfast::TuneStage {
 public:
  explicit SafeGrad(holdfast::Params& params)
      : rho_(params.number("rho", 1, "weight of the alignment gradient in the step; 0: the projection alone", 0)),
        global_(params.choice("scope", "global", {"global", "per-tensor"},
                              "whether gradients conflict: all trained weights together, or each tensor by itself") ==
                "global"),
        divergence_(params, "all", "batch-sum"),
        rows_(params, "safegrad") {}

  static holdfast::Card card() {
    return {
        .source =
            "Yi et al. 2025, arXiv 2508.07172: the abstract; algorithm 1 as a third party quotes it (Lexsi-Labs/SafeTune)",
        .cost =
            "2 forward and backward passes a step (plain: 1) and a forward of the model before tuning; the weights once "
            "more, two lists of gradients while a step is made",
        .presets = {
            {"quoted",
             {{"rho", 1.0}, {"scope", "global"}, {"positions", "all"}, {"reduction", "batch-sum"}, {"alignment", "refusals"}},
             "not known; about 20 alignment rows are enough, as that third party has it"},
            {"organism", {{"rho", 1.0}}}}};
  }

  void begin(holdfast::Trainer& trainer) override {
    trainer.reference();
    alignment_ = &trainer.stream("alignment", rows_.draw(trainer.context()));
  }

  double step(holdfast::Trainer& trainer) override {
    const double loss = trainer.backward(trainer.rows().next());  // g_u, on the parameters
    holdfast::Tensors g_a = alignment_gradient(trainer);
    const std::vector<double> along = along_alignment(trainer.parameters(), g_a);
    // g_u - <g_u, g_a> / |g_a|^2 g_a where they conflict (along < 0), else g_u; plus rho g_a.
    for (std::size_t i = 0; i < g_a.size(); ++i) g_a[i].mul_(rho_ - std::min(along[i], 0.0));
    trainer.add_gradient(g_a, 1);
    return loss;
  }

  bool archive(holdfast::Archive&) override { return true; }  // nothing is kept between two steps

 private:
  holdfast::Tensors alignment_gradient(holdfast::Trainer& trainer) const {
    const holdfast::Batches batches = alignment_->next();
    const double divisor = divergence_.divisor(batches);
    return trainer.gradients(batches, [&](const holdfast::Batch& batch) {
      return trainer.model().kl(divergence_.covered(batch), trainer.reference()).sum() / divisor;
    });
  }

  // <g_u, g_a> / |g_a|^2 for each tensor: the same one for all, or its own.
  std::vector<double> along_alignment(const holdfast::Tensors& parameters, const holdfast::Tensors& g_a) const {
    std::vector<double> dots, squares;
    for (std::size_t i = 0; i < g_a.size(); ++i) {
      const at::Tensor& g_u = parameters[i].grad();
      dots.push_back(g_u.defined() ? holdfast::dot({g_u}, {g_a[i]}) : 0);
      squares.push_back(holdfast::dot({g_a[i]}, {g_a[i]}));
    }
    if (global_) {
      dots.assign(g_a.size(), std::accumulate(dots.begin(), dots.end(), 0.0));
      squares.assign(g_a.size(), std::accumulate(squares.begin(), squares.end(), 0.0));
    }
    for (std::size_t i = 0; i < dots.size(); ++i) dots[i] /= squares[i] + kLeastSquare;
    return dots;
  }

  double rho_;
  bool global_;
  holdfast::Divergence divergence_;
  holdfast::SafetyRows rows_;
  holdfast::Stream* alignment_ = nullptr;
};

}  // namespace

HOLDFAST_DEFENSE(SafeGrad, "safegrad", 1, "Takes out of the customer's gradient what works against alignment (SafeGrad).")
