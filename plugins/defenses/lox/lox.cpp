// LoX (Perin et al. 2025, "LoX: low-rank extrapolation robustifies LLM safety against fine-tuning"): once the model is aligned,
// before any customer tunes it, each matrix moves further along the leading directions of what the alignment changed in it.
// README.md states the rule.
#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <holdfast/defense.h>
#include <holdfast/repair.h>

#include <algorithm>

namespace {

const std::string kFactorA = ".lora_A.weight", kFactorB = ".lora_B.weight";

class Lox final : public holdfast::AlignStage {
 public:
  explicit Lox(holdfast::Params& params)
      : k_(params.integer("k", 0, "leading singular directions of each matrix's change that are extrapolated; 0: all of it",
                          0)),
        coef_(params.number("coef", 1, "how far, in lengths of that change; 0: plain alignment", 0)) {}

  static holdfast::Card card() {
    return {.source = "Perin et al. 2025, arXiv 2506.15606; VITA-Group/LoX, safety/LoX.py",
            .cost =
                "no pass; the model before the alignment and one list of changes; with k a singular value decomposition a "
                "matrix, embedding and head too",
            .presets = {{"repo", {{"k", 0}, {"coef", 1.0}}, "none: the code takes two checkpoints that exist"},
                        {"organism", {{"k", 0}, {"coef", 0.4}}}}};
  }

  void begin(holdfast::Trainer& trainer) override { before_ = &trainer.reference(); }

  void finish(holdfast::Trainer& trainer) override {
    if (coef_ == 0) return;
    const at::NoGradGuard no_grad;
    const holdfast::NamedWeights before = before_->weights();
    holdfast::Tensors kept;
    for (std::size_t i = 0; i < trainer.names().size(); ++i) kept.push_back(kept_change(trainer, i, before));
    trainer.move(kept, coef_);
  }

  bool archive(holdfast::Archive&) override { return true; }  // its steps are the plain ones

 private:
  // What is extrapolated of the change that the alignment made to one trained tensor; zeros for a vector. An adapter's change
  // is B A up to its scale, and as U U^T (B A) = (U U^T B) A, it is B that moves.
  at::Tensor kept_change(const holdfast::Trainer& trainer, std::size_t index, const holdfast::NamedWeights& before) const {
    const std::string& name = trainer.names()[index];
    const at::Tensor& value = trainer.weights()[index];
    if (value.dim() != 2 || name.ends_with(kFactorA)) return at::zeros_like(value);
    if (name.ends_with(kFactorB)) return leading(value.matmul(factor_a(trainer, name)), value);
    const at::Tensor change = holdfast::weight_difference(value, before.at(name));
    return leading(change, change);
  }

  static const at::Tensor& factor_a(const holdfast::Trainer& trainer, const std::string& factor_b) {
    const auto& names = trainer.names();
    const std::string wanted = factor_b.substr(0, factor_b.size() - kFactorB.size()) + kFactorA;
    return trainer.weights()[static_cast<std::size_t>(std::find(names.begin(), names.end(), wanted) - names.begin())];
  }

  // U U^T part, U the change's k leading left singular vectors; the part itself where that is all.
  at::Tensor leading(const at::Tensor& change, const at::Tensor& part) const {
    if (k_ == 0 || k_ >= std::min(change.size(0), change.size(1))) return part;
    const at::Tensor u = std::get<0>(at::linalg_svd(change, /*full_matrices=*/false)).narrow(1, 0, k_);
    return u.matmul(u.t().matmul(part));
  }

  std::int64_t k_;
  double coef_;
  const holdfast::Model* before_ = nullptr;
};

}  // namespace

HOLDFAST_DEFENSE(Lox, "lox", 1, "Moves the aligned model further along what the alignment changed (LoX).")
