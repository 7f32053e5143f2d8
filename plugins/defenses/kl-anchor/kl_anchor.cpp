// KL anchor: hold what the model says near what it said before tuning. A step descends, on the customer's rows,
// w_sft f(w) + w_kl KL(reference || model): with w_sft = 1 and w_kl = lambda (the baseline of git-disl's codes), or with
// weights that go by each row's risk, w_sft = 1 - w_kl (adaptive regularisation, arXiv 2602.17546).
#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <holdfast/defense.h>
#include <holdfast/divergence.h>
#include <holdfast/moderation.h>

#include <numeric>
#include <optional>

namespace {

constexpr std::size_t kPromptsAForward = 16;

// What the probe sees of each example: the mean over the tokens before its first reply and over all hidden states, the
// embedding and the state behind the final norm among them, (B, C).
at::Tensor prompt_features(const holdfast::Model& model, const holdfast::Batch& batch) {
  const c10::NoGradGuard no_grad;
  std::vector<std::int64_t> below(static_cast<std::size_t>(model.layers()));
  std::iota(below.begin(), below.end(), 0);
  at::Tensor sum = model.hidden(batch);
  for (const auto& state : model.states(batch, below)) sum = sum + state;
  const at::Tensor rows = batch.target_rows.cpu(), owners = batch.target_example.cpu();
  std::vector<at::Tensor> features;
  std::int64_t first = 0, label = 0;
  for (std::size_t i = 0; i < batch.lengths.size(); ++i) {
    const auto owner = static_cast<std::int64_t>(i);
    const bool replies = label < owners.numel() && owners[label].item<std::int64_t>() == owner;
    const std::int64_t end = replies ? rows[label].item<std::int64_t>() + 1 : first + batch.lengths[i];
    features.push_back(sum.narrow(0, first, end - first).mean(0) / (model.layers() + 1));
    while (label < owners.numel() && owners[label].item<std::int64_t>() == owner) ++label;
    first += batch.lengths[i];
  }
  return at::stack(features);
}

at::Tensor prompt_features(const holdfast::Model& model, const std::vector<std::string>& requests) {
  std::vector<at::Tensor> features;
  for (std::size_t begin = 0; begin < requests.size(); begin += kPromptsAForward) {
    std::vector<holdfast::Encoded> prompts;
    for (std::size_t i = begin; i < std::min(begin + kPromptsAForward, requests.size()); ++i) {
      const auto ids = model.encode_prompt({{"user", requests[i]}});
      prompts.push_back({ids, std::vector<bool>(ids.size(), false)});
    }
    features.push_back(prompt_features(model, model.pack(prompts)));
  }
  return at::cat(features);
}

class KlAnchor final : public holdfast::TuneStage {
 public:
  explicit KlAnchor(holdfast::Params& params)
      : lambda_(params.number("lambda", 1e-3, "with risk = \"none\": weight of the divergence; 0: plain tuning", 0)),
        over_positions_(params.choice("softmax", "vocabulary", {"vocabulary", "positions"},
                                      "what the soft-max of the divergence runs over; the code: a row's positions") ==
                        "positions"),
        divergence_(params, "all", "batch-sum"),
        by_risk_(params.choice("risk", "none", {"none", "probe"},
                               "whether a row's weights go by its risk: not, or by a probe on the model before tuning") ==
                 "probe"),
        low_(params.number("low", 0.1, "with risk = \"probe\": weight of the divergence for a row without risk", 0, 1)),
        high_(params.number("high", 0.9, "with risk = \"probe\": its weight for a row at risk", 0, 1)),
        rows_(params.integer("rows", 0, "with risk = \"probe\": alignment rows that the probe is fitted on; 0: all of them")) {}

  static holdfast::Card card() {
    const std::string training = "not known: no published script runs this baseline";
    return {
        .source = "Lslland/T-Vaccine, class KLTrainer (fixed); arXiv 2602.17546 (adaptive)",
        .cost =
            "2 forward and backward passes a step (plain: 1) and a forward of the model before tuning, 3 with a probe; the "
            "weights once more",
        .presets = {
            {"repo",
             {{"risk", "none"}, {"lambda", 1e-3}, {"softmax", "positions"}, {"positions", "all"}, {"reduction", "batch-sum"}},
             training},
            {"vocab",
             {{"risk", "none"}, {"lambda", 1e-3}, {"softmax", "vocabulary"}, {"positions", "all"}, {"reduction", "batch-sum"}},
             training},
            {"adaptive",
             {{"risk", "probe"},
              {"low", 0.1},
              {"high", 0.9},
              {"softmax", "vocabulary"},
              {"positions", "answer"},
              {"reduction", "token-mean"}},
             "LoRA rank 64 alpha 16; lr 2e-4 to 2e-7, cosine, 20 epochs, batches of 4, weight decay 0.01"},
            {"organism", {{"lambda", 0.1}}}}};
  }

  void begin(holdfast::Trainer& trainer) override {
    const holdfast::Model& reference = trainer.reference();
    if (!by_risk_) return;
    holdfast::Context& context = trainer.context();
    const auto rows = holdfast::defender_rows(context.alignment(), rows_, "kl-anchor", "the alignment data", context);
    const auto features = [&](const std::vector<std::string>& requests) { return prompt_features(reference, requests); };
    probe_ = holdfast::HarmProbe::fit(features, rows, context.seed("probe"));
    context.report("probe.precision", probe_->precision(), probe_->held_out());
    context.report("probe.recall", probe_->recall(), probe_->held_out());
  }

  double step(holdfast::Trainer& trainer) override {
    const holdfast::Batches batches = trainer.rows().next();
    const double divisor = divergence_.divisor(batches);
    return trainer.backward(batches, [&](const holdfast::Batch& batch) {
      const at::Tensor kl = divergence(trainer, divergence_.covered(batch)) / divisor;
      if (!by_risk_) return trainer.loss(batch) + lambda_ * kl.sum();
      const at::Tensor w_kl = divergence_weights(trainer.reference(), batch).to(kl.options());
      return trainer.loss(weighted(batch, 1 - w_kl)) + (w_kl * kl).sum();
    });
  }

  bool archive(holdfast::Archive&) override { return true; }  // begin() makes anew all that is remembered

 private:
  // KL(reference || model) in nats, summed over each example's positions, (B).
  at::Tensor divergence(holdfast::Trainer& trainer, const holdfast::Batch& batch) const {
    if (over_positions_) return divergence_over_positions(trainer, batch);
    const at::Tensor each = trainer.model().kl(batch, trainer.reference());
    return at::zeros({static_cast<std::int64_t>(batch.lengths.size())}, each.options())
        .index_add(0, batch.target_example, each);
  }

  // The code's soft-max over dimension 1 of (B, T, V): for each entry of the vocabulary a distribution over the row's
  // positions.
  static at::Tensor divergence_over_positions(holdfast::Trainer& trainer, const holdfast::Batch& batch) {
    const at::Tensor own = logits(trainer.model(), batch), theirs = [&] {
      const c10::NoGradGuard no_grad;
      return logits(trainer.reference(), batch);
    }();
    std::vector<at::Tensor> sums;
    for (std::size_t i = 0; i < batch.lengths.size(); ++i) {
      const at::Tensor places = batch.target_example.eq(static_cast<std::int64_t>(i)).nonzero().squeeze(1);
      const at::Tensor p = at::log_softmax(theirs.index_select(0, places), 0),
                       q = at::log_softmax(own.index_select(0, places), 0);
      sums.push_back((p.exp() * (p - q)).sum());
    }
    return at::stack(sums);
  }

  static at::Tensor logits(const holdfast::Model& model, const holdfast::Batch& batch) {
    return model.head(model.states(batch, {model.layers()}).front().index_select(0, batch.target_rows));
  }

  // w_kl of each example, (B).
  at::Tensor divergence_weights(const holdfast::Model& reference, const holdfast::Batch& batch) const {
    std::vector<double> weights;
    for (const double risk : probe_->scores(prompt_features(reference, batch))) weights.push_back(risk > 0.5 ? high_ : low_);
    return at::tensor(weights, at::kDouble);
  }

  static holdfast::Batch weighted(holdfast::Batch batch, const at::Tensor& of_example) {
    const at::Tensor weights = of_example.index_select(0, batch.target_example);
    batch.target_weights = batch.target_weights.defined() ? batch.target_weights * weights : weights;
    return batch;
  }

  double lambda_;
  bool over_positions_;
  holdfast::Divergence divergence_;
  bool by_risk_;
  double low_, high_;
  std::int64_t rows_;
  std::optional<holdfast::HarmProbe> probe_;
};

}  // namespace

HOLDFAST_DEFENSE(KlAnchor, "kl-anchor", 1, "Holds what the model says near what it said before tuning (KL anchor).")
