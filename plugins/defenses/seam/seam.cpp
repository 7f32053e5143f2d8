// SEAM (Wang, Zhu, Wang 2025, "Self-destructive language models"): align so that the gradient of harmful rows points against
// that of ordinary ones, and a model that is tuned on harm unlearns the rest. A step descends L_ul + alpha L_up + beta cos(g_a,
// g_b); the gradient of the cosine is estimated without second derivatives, from gradients a length epsilon away.
#include <ATen/ATen.h>
#include <holdfast/batches.h>
#include <holdfast/defender.h>
#include <holdfast/defense.h>
#include <holdfast/log.h>

#include <cmath>
#include <numeric>

namespace {

using holdfast::Batch;
using holdfast::Batches;
using holdfast::Tensors;

// Counts only the label tokens in the masks, one a batch: the loss of a batch is then its share of the mean over all of them.
void count_only(Batches& batches, const Tensors& masks) {
  double counted = 0;
  for (std::size_t i = 0; i < batches.size(); ++i) {
    batches[i].target_weights = masks[i].index_select(0, batches[i].target_rows + 1).to(at::kFloat);
    counted += batches[i].target_weights.sum().item<double>();
  }
  for (auto& batch : batches) batch.normalizer = std::max(counted, 1.0);
}

at::Tensor cross_entropy(const at::Tensor& log_probs, const Batch& batch) {
  return -(log_probs.gather(1, batch.target_ids.unsqueeze(1)).squeeze(1) * batch.target_weights).sum() / batch.normalizer;
}

// (CE + sum over l = 0..L of CE as the head reads layer l's state) / (L + 1), which RepNoise ascends too.
at::Tensor layerwise_cross_entropy(const holdfast::Model& model, const Batch& batch) {
  std::vector<std::int64_t> layers(static_cast<std::size_t>(model.layers()) + 1);
  std::iota(layers.begin(), layers.end(), 0);
  const Tensors states = model.states(batch, layers);
  const auto said = [&](const at::Tensor& state) {
    return cross_entropy(model.head(state.index_select(0, batch.target_rows)).log_softmax(1), batch);
  };
  at::Tensor sum = said(states.back());  // the model's own, which counts beside those of all states
  for (const auto& state : states) sum = sum + said(state);
  return sum / static_cast<double>(states.size());
}

// One list, so that 16-bit gradients are rounded once.
Tensors difference(const Tensors& a, const Tensors& b) {
  Tensors difference;
  for (std::size_t i = 0; i < a.size(); ++i) difference.push_back(a[i].sub(b[i]));
  return difference;
}

class Seam final : public holdfast::AlignStage {
 public:
  explicit Seam(holdfast::Params& params)
      : alpha_(params.number("alpha", 1, "weight of the loss of refusals to the harmful prompts (L_up)", 0)),
        beta_(params.number("beta", 0.01, "weight of the cosine between harmful and benign gradient (L_sd); 0: without it", 0)),
        epsilon_(params.number("epsilon", 1e-3,
                               "length of the moves that estimate the cosine's gradient, over all trained weights", 1e-12)),
        retain_(params.number(
            "retain", 1, "weight of the plain loss on the alignment's own rows; 0: the three terms alone, as published", 0)),
        harmful_(params.corpus("harmful", "defender-harmful",
                               "corpus of the harmful rows, whose last replies get a refusal as their pair")),
        benign_(
            params.corpus("benign", "benign", "corpus of the ordinary rows whose gradient the harmful one is turned against")),
        rows_(params.integer("rows", 0, "rows of either corpus to use; 0: all of them")) {}

  static holdfast::Card card() {
    return {
        .source = "Wang, Zhu, Wang 2025, arXiv 2505.12186; ZJUWYH/seam, src/core/trainer.py",
        .cost =
            "6 forward and backward passes a step, 7 with own rows (plain: 1); the weights once more, four lists of gradients, "
            "and logits of each harmful label token at each layer",
        .presets = {
            {"paper",
             {{"alpha", 1.0}, {"beta", 0.01}, {"epsilon", 1e-3}, {"retain", 0.0}},
             "all weights in bfloat16; AdamW, lr 2e-5, cosine with a warm-up of a tenth, no weight decay, no clipping, batches "
             "of 8, 256 tokens a row; 500 steps (paper), 8,000 rows once (code)"},
            {"organism", {{"beta", 1.0}}}}};
  }

  void begin(holdfast::Trainer& trainer) override {
    holdfast::Context& context = trainer.context();
    const auto pairs = holdfast::refusal_pairs(harmful_, rows_, "seam", context);
    const auto ordinary =
        holdfast::defender_rows(context.corpus(benign_), rows_, "seam", "the corpus \"" + benign_ + "\"", context);
    const holdfast::StreamOptions paired{.shuffle = trainer.options().shuffle, .order = "pairs"};
    harmful_rows_ = &trainer.stream("harmful", pairs.harmful, paired);
    refusals_ = &trainer.stream("refusals", pairs.refusals, paired);
    ordinary_rows_ = &trainer.stream("benign", ordinary);
    if (beta_ > 0 && trainer.parameters().front().scalar_type() == at::kBFloat16) {
      holdfast::log_warning(
          "seam: the forward rounds to bfloat16 what a move of epsilon changes, and the estimate of the cosine's "
          "gradient drowns in that: train in float32, or raise \"epsilon\"");
    }
  }

  double step(holdfast::Trainer& trainer) override {
    double loss = 0;
    if (retain_ > 0) {
      loss = trainer.backward(trainer.rows().next(), [&](const Batch& batch) { return trainer.loss(batch) * retain_; });
    }
    Batches harmful = harmful_rows_->next(), refusals = refusals_->next();
    compare(harmful, refusals);

    double said = 0, refused = 0;  // how badly
    const Tensors learned = trainer.gradients(
        harmful, [&](const Batch& batch) { return counted(layerwise_cross_entropy(trainer.model(), batch), said); });
    trainer.add_gradient(learned, -1 / (said + 1));  // of L_ul = -log(said + 1)
    const Tensors preserved = trainer.gradients(refusals, [&](const Batch& batch) {
      return counted(cross_entropy(trainer.model().next_log_probs(batch), batch), refused);
    });
    trainer.add_gradient(preserved, alpha_);  // of alpha L_up
    loss += alpha_ * refused - std::log(said + 1);

    return beta_ > 0 ? loss + beta_ * add_cosine(trainer, harmful, ordinary_rows_->next()) : loss;
  }

  bool archive(holdfast::Archive&) override { return true; }  // streams are the trainer's
  bool draws_itself() const override { return retain_ == 0; }

 private:
  // Leaves in either batch the label tokens that the other one has not in their place.
  static void compare(Batches& harmful, Batches& refusals) {
    Tensors in_harmful, in_refusals;
    for (std::size_t i = 0; i < harmful.size(); ++i) {
      const auto differs = holdfast::differing_tokens(harmful[i], refusals[i]);
      in_harmful.push_back(differs.in_a);
      in_refusals.push_back(differs.in_b);
    }
    count_only(harmful, in_harmful);
    count_only(refusals, in_refusals);
  }

  static at::Tensor counted(const at::Tensor& loss, double& sum) {
    sum += loss.item<double>();
    return loss;
  }

  // Adds beta times the gradient of c = cos(g_a, g_b), a the harmful and b the benign rows, and returns c:
  // (beta / eps) [(g_a(w + eps (b - c a)) - g_a) / |g_a| + (g_b(w + eps (a - c b)) - g_b) / |g_b|], a and b of unit length.
  double add_cosine(holdfast::Trainer& trainer, const Batches& harmful, const Batches& benign) const {
    const Tensors a = trainer.gradients(harmful), b = trainer.gradients(benign);
    const double length_a = holdfast::norm(a), length_b = holdfast::norm(b);
    if (length_a == 0 || length_b == 0) return 0;  // no pair differs, or nothing is left to learn
    const double c = holdfast::dot(a, b) / (length_a * length_b);
    const holdfast::Snapshot here = trainer.snapshot();
    const auto add_turned = [&](const Tensors& own, double own_length, const Tensors& other, double other_length,
                                const Batches& rows) {
      trainer.move(other, epsilon_ / other_length);
      trainer.move(own, -epsilon_ * c / own_length);
      const Tensors moved = trainer.gradients(rows);
      trainer.restore(here);
      trainer.add_gradient(difference(moved, own), beta_ / (epsilon_ * own_length));
    };
    add_turned(a, length_a, b, length_b, harmful);
    add_turned(b, length_b, a, length_a, benign);
    return c;
  }

  double alpha_, beta_, epsilon_, retain_;
  std::string harmful_, benign_;
  std::int64_t rows_;
  holdfast::Stream* harmful_rows_ = nullptr;
  holdfast::Stream* refusals_ = nullptr;
  holdfast::Stream* ordinary_rows_ = nullptr;
};

}  // namespace

HOLDFAST_DEFENSE(Seam, "seam", 1, "Aligns so that harmful and benign gradients oppose: tuned on harm, the model breaks (SEAM).")
