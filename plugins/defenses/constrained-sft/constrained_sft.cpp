// Constrained fine-tuning (Qi et al. 2024, "Safety alignment should be made more than just a few tokens deep"): hold the first
// tokens of a reply near what the aligned model says. A label token's loss is -(2 / beta_t) log sigmoid(beta_t d_t), with d_t
// its log-probability less that under the model before tuning; its gradient is that of the plain loss times 2 (1 -
// sigmoid(beta_t d_t)), which is how it is computed.
#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <holdfast/defense.h>

namespace {

// An example as the model sees it: its tokens, and which of them predict a label.
using Shown = std::pair<std::vector<std::int64_t>, std::vector<std::int64_t>>;

Shown shown(const holdfast::Encoded& example) {
  Shown out{example.ids, {}};
  for (std::size_t i = 1; i < example.ids.size(); ++i) {
    if (example.label[i]) out.second.push_back(static_cast<std::int64_t>(i) - 1);
  }
  return out;
}

std::vector<Shown> shown(const holdfast::Batch& batch) {
  const at::Tensor ids = batch.ids.cpu(), targets = batch.target_rows.cpu(), owners = batch.target_example.cpu();
  std::vector<Shown> out;
  std::vector<std::int64_t> begins;
  const std::int64_t* id = ids.data_ptr<std::int64_t>();
  for (const auto length : batch.lengths) {
    begins.push_back(id - ids.data_ptr<std::int64_t>());
    out.push_back({{id, id + length}, {}});
    id += length;
  }
  for (std::int64_t i = 0; i < targets.numel(); ++i) {
    const auto owner = static_cast<std::size_t>(owners.data_ptr<std::int64_t>()[i]);
    out[owner].second.push_back(targets.data_ptr<std::int64_t>()[i] - begins[owner]);
  }
  return out;
}

class ConstrainedSft final : public holdfast::TuneStage {
 public:
  explicit ConstrainedSft(holdfast::Params& params)
      : beta_first_(params.number("beta_first", 0.5, "beta of a reply's first token", 0)),
        beta_early_(params.number("beta_early", 2, "beta of the other early tokens", 0)),
        beta_(params.number("beta", 0.1, "beta of all later tokens; 0: as plain tuning has them", 0)),
        early_(params.integer("early", 5, "how many tokens of a reply are early, the first among them")),
        floor_(params.number("floor", 1e-3, "the least that a token counts, as the code has it; the paper: 0", 0, 2)) {}

  static holdfast::Card card() {
    const std::string training = "all weights, lr 2e-5, batches of 64; 25 epochs on an attack's rows, 3 on an ordinary task's";
    return {.source = "Qi et al. 2024, arXiv 2406.05946, equation 3",
            .cost =
                "1 forward and backward pass and a forward a step (plain: 1 pass), one forward over the rows before the "
                "first; the weights once more",
            .presets = {
                {"paper", {{"beta_first", 0.5}, {"beta_early", 2.0}, {"beta", 0.1}, {"early", 5}, {"floor", 0.0}}, training},
                {"repo", {{"beta_first", 0.5}, {"beta_early", 2.0}, {"beta", 0.1}, {"early", 5}, {"floor", 1e-3}}, training},
                {"organism", {{"beta", 0.1}}}}};
  }

  void prepare(holdfast::TrainingOptions&, holdfast::Dataset& data, holdfast::Context&) override {
    conversations_.clear();
    for (const auto& row : data) conversations_.push_back(row.messages);
  }

  // Known by what they say and not by their numbers: members behind this one may change the rows, or hand on rows of their own.
  void begin(holdfast::Trainer& trainer) override {
    known_.clear();
    const auto replies = trainer.reference().reply_log_probs(conversations_);
    for (std::size_t i = 0; i < replies.size(); ++i) {
      Shown row = shown(trainer.model().encode(conversations_[i], trainer.options().max_length));
      std::vector<double> kept(replies[i].begin(), replies[i].begin() + static_cast<std::ptrdiff_t>(row.second.size()));
      known_.emplace(std::move(row), std::move(kept));
    }
  }

  double step(holdfast::Trainer& trainer) override {
    holdfast::Batches batches = trainer.rows().next();
    for (auto& batch : batches) {
      const at::Tensor weights = token_weights(trainer, batch);
      batch.target_weights = batch.target_weights.defined() ? batch.target_weights * weights : weights;
    }
    return trainer.backward(batches);
  }

  bool archive(holdfast::Archive&) override { return true; }  // begin() makes anew all that is remembered

 private:
  // 2 (1 - sigmoid(beta_t d_t)), (L), without graph.
  at::Tensor token_weights(holdfast::Trainer& trainer, const holdfast::Batch& batch) const {
    const c10::NoGradGuard no_grad;
    const at::Tensor now = trainer.model().log_probs(batch);
    const at::Tensor gained = now - reference_log_probs(trainer, batch).to(now.options());
    return (2 * (-betas(batch.target_place, now.options()) * gained).sigmoid()).clamp_min(floor_);
  }

  at::Tensor betas(const at::Tensor& place, const at::TensorOptions& options) const {
    const at::Tensor is_early = place < early_, is_first = is_early.logical_and(place == 0);
    return at::full(place.sizes(), beta_, options).masked_fill(is_early, beta_early_).masked_fill(is_first, beta_first_);
  }

  at::Tensor reference_log_probs(holdfast::Trainer& trainer, const holdfast::Batch& batch) const {
    std::vector<double> values;
    for (const auto& row : shown(batch)) {
      const auto known = known_.find(row);
      if (known == known_.end()) return trainer.reference().log_probs(batch);
      values.insert(values.end(), known->second.begin(), known->second.end());
    }
    return at::tensor(values, at::kDouble);
  }

  double beta_first_, beta_early_, beta_;
  std::int64_t early_;
  double floor_;
  std::vector<holdfast::Conversation> conversations_;
  std::map<Shown, std::vector<double>> known_;  // the reference's log-probabilities of a row's label tokens
};

}  // namespace

HOLDFAST_DEFENSE(ConstrainedSft, "constrained-sft", 1,
                 "Holds the first tokens of replies near those of the model before tuning (constrained SFT).")
