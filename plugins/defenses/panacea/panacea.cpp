// Panacea (Wang et al. 2025, "Panacea: mitigating harmful fine-tuning for large language models via post-fine-tuning
// perturbation"): tune, and release the weights moved one step up the loss of harmful rows. With f the loss of the customer's
// rows and h that of harmful ones, a step descends f(w) - lambda (h(w + e) - h(w)), where e = eps_rho grad h(w) / |grad h(w)|
// is held fixed; the weights that are released are w + e, with e of the last step.
#include <ATen/ATen.h>
#include <holdfast/defense.h>

namespace {

using holdfast::Batches;
using holdfast::Tensors;

constexpr double kLeastNorm = 1e-7;  // the code's, against a gradient of zero

class Panacea final : public holdfast::TuneStage {
 public:
  static holdfast::Card card() {
    return {.source = "Wang et al. 2025, arXiv 2501.18100; the rule as the authors' code has it (w-yibo/Panacea)",
            .cost = "3 forward and backward passes a step (plain: 1); the weights once more, three lists of gradients",
            .presets = {{"repo",
                         {{"eps_rho", 1.0}, {"lambda", 0.001}, {"loss_cap", 5.0}, {"rows", 1000}},
                         "LoRA, lr 2e-5 constant, weight decay 0.1, batches of 10, 20 epochs over 1,000 rows"},
                        {"organism", {{"lambda", 0.001}}}}};
  }

  explicit Panacea(holdfast::Params& params)
      : eps_rho_(params.number("eps_rho", 1, "length of the perturbation e, over all trained weights together", 0)),
        lambda_(params.number("lambda", 0.001, "weight of what e adds to the loss of harmful rows; 0: tuned plainly", 0)),
        loss_cap_(params.number("loss_cap", 5, "nats; where h(w + e) is above it, it counts as constant; 0: no cap", 0)),
        release_(params.flag("release", true, "whether the weights that are served are w + e, and not w")),
        harmful_(params.corpus("harmful", "defender-harmful", "the corpus of harmful rows")),
        rows_(params.integer("rows", 0, "harmful rows that the defender holds; 0: all of the corpus")) {}

  void begin(holdfast::Trainer& trainer) override {
    holdfast::Context& context = trainer.context();
    const std::string source = "the corpus \"" + harmful_ + "\"";
    const auto rows = holdfast::defender_rows(context.corpus(harmful_), rows_, "panacea", source, context);
    harmful_rows_ = &trainer.stream("harmful", rows);
  }

  double step(holdfast::Trainer& trainer) override {
    const Batches harmful = harmful_rows_->next();
    const holdfast::Snapshot w = trainer.snapshot();
    const Tensors s = trainer.gradients(harmful);  // grad h(w)
    e_ = scaled(s, eps_rho_ / (holdfast::norm(s) + kLeastNorm));
    trainer.move(e_, 1);
    const Tensors q = capped_gradient(trainer, harmful);  // grad min(h, loss_cap)(w + e)
    trainer.restore(w);

    const double loss = trainer.backward(trainer.rows().next());  // leaves grad f(w)
    if (lambda_ > 0) trainer.add_gradient(difference(q, s), -lambda_);
    return loss;
  }

  void finish(holdfast::Trainer& trainer) override {
    if (release_) trainer.move(e_, 1);
  }

  bool archive(holdfast::Archive& archive) override {
    archive("perturbation", e_);
    return true;
  }

 private:
  // Of min(h, loss_cap), where the weights are, h over the whole batch: nothing above the cap.
  Tensors capped_gradient(holdfast::Trainer& trainer, const Batches& batches) const {
    double loss = 0;
    const Tensors gradient = trainer.gradients(batches, [&](const holdfast::Batch& batch) {
      const at::Tensor part = -trainer.model().log_probs(batch).sum() / batch.normalizer;
      loss += part.item<double>();
      return part;
    });
    return loss_cap_ > 0 && loss > loss_cap_ ? scaled(gradient, 0) : gradient;
  }

  static Tensors scaled(const Tensors& tensors, double by) {
    Tensors scaled;
    for (const auto& tensor : tensors) scaled.push_back(tensor * by);
    return scaled;
  }

  // One list, so that 16-bit gradients are rounded once.
  static Tensors difference(const Tensors& a, const Tensors& b) {
    Tensors difference;
    for (std::size_t i = 0; i < a.size(); ++i) difference.push_back(a[i] - b[i]);
    return difference;
  }

  double eps_rho_, lambda_, loss_cap_;
  bool release_;
  std::string harmful_;
  std::int64_t rows_;
  holdfast::Stream* harmful_rows_ = nullptr;
  Tensors e_;  // of the last step
};

}  // namespace

HOLDFAST_DEFENSE(Panacea, "panacea", 1, "Tunes, and serves the weights moved up the loss of harmful rows (Panacea).")
