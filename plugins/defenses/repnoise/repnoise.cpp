// RepNoise (Rosati et al. 2024, "Representation noising: a defence mechanism against harmful finetuning"): align so that what
// the feed-forward blocks make of a harmful reply looks like noise, that no layer's state says it any more, and that the
// refusal to the same prompt is still said. README.md states the loss.
#include <ATen/ATen.h>
#include <holdfast/batches.h>
#include <holdfast/defender.h>
#include <holdfast/defense.h>

#include <cmath>
#include <numbers>
#include <numeric>

namespace {

using holdfast::Batch;
using holdfast::Batches;
using holdfast::Tensors;

// Maximum mean discrepancy of the rows x and y, (B, F) each: five Gaussian kernels around the mean distance, which has no
// gradient.
at::Tensor discrepancy(const at::Tensor& x, const at::Tensor& y) {
  const at::Tensor all = at::cat({x, y}), products = all.matmul(all.t()), squares = products.diagonal();
  const at::Tensor distances = squares.unsqueeze(0) + squares.unsqueeze(1) - 2 * products;  // squared
  const auto n = static_cast<double>(all.size(0));
  // Where no token of any pair differs all distances are zero.
  const at::Tensor bandwidth = (distances.detach().sum() / (n * n - n) / 4).clamp_min(1e-30);
  at::Tensor kernel = at::zeros_like(distances);
  for (int i = 0; i < 5; ++i) kernel = kernel + (-distances / (bandwidth * (1 << i))).exp();
  const auto block = [&](std::int64_t row, std::int64_t column) {
    return kernel.narrow(0, row * x.size(0), x.size(0)).narrow(1, column * x.size(0), x.size(0));
  };
  return (block(0, 0) + block(1, 1) - block(0, 1) - block(1, 0)).mean();
}

// Standard normal numbers (Box and Muller 1958), (rows, columns) float64.
at::Tensor normal(std::int64_t rows, std::int64_t columns, holdfast::Random& random) {
  at::Tensor uniform = at::empty({2, rows, columns}, at::kDouble);
  double* next = uniform.data_ptr<double>();
  for (std::int64_t i = 0; i < uniform.numel(); ++i) *next++ = random.uniform();
  return (-2 * (1 - uniform[0]).log()).sqrt() * (2 * std::numbers::pi * uniform[1]).cos();
}

// Mean over the layers of the discrepancy of feed-forward outputs, (N, C) each, and fresh noise, both at masked tokens only.
at::Tensor distance_to_noise(const Tensors& outputs, const Batch& batch, const at::Tensor& mask, holdfast::Random& noise) {
  const at::Tensor places = mask.nonzero().squeeze(1);
  const auto flat = [&](const at::Tensor& packed) {  // an example a row, zeros behind its end
    return at::pad_sequence(packed.split_with_sizes(batch.lengths), /*batch_first=*/true).flatten(1);
  };
  at::Tensor sum = at::zeros({}, at::TensorOptions(mask.device()).dtype(at::kFloat));
  for (const auto& each : outputs) {
    const at::Tensor output = each.to(at::promote_types(each.scalar_type(), at::kFloat));
    const at::Tensor drawn = normal(places.size(0), output.size(1), noise).to(output.options());
    const at::Tensor target = at::zeros_like(output).index_copy(0, places, drawn);
    sum = sum + discrepancy(flat(output * mask.unsqueeze(1)), flat(target));
  }
  return sum / static_cast<double>(outputs.size());
}

class RepNoise final : public holdfast::AlignStage {
 public:
  explicit RepNoise(holdfast::Params& params)
      : alpha_(params.number("alpha", 1, "weight of the ascent on the loss of harmful replies", 0)),
        beta_(params.number("beta", 0.001, "weight of the distance between harmful representations and noise", 0)),
        retain_(params.number("retain", 1,
                              "weight of the plain loss on the alignment's own rows; 0: the pairs alone, as published", 0)),
        as_code_(
            params.choice("variant", "paper", {"paper", "repo"},
                          "repo: as the published code, a masked token's logits are zero and the last state is normed twice") ==
            "repo"),
        corpus_(params.corpus("harmful", "defender-harmful",
                              "corpus of the harmful rows, whose last replies get a refusal as their pair")),
        rows_(params.integer("rows", 0, "harmful rows that the defender holds; 0: all of the corpus")) {}

  static holdfast::Card card() {
    return {
        .source = "Rosati et al. 2024, arXiv 2405.14577",
        .cost =
            "3 forward and backward passes a step (plain: 1); every state and feed-forward output of the harmful batch, and "
            "logits of all its layers",
        .presets = {{"paper",
                     {{"alpha", 1.0}, {"beta", 0.001}, {"retain", 0.0}, {"variant", std::string("paper")}},
                     "full; learning rate, alpha and beta searched anew for each model"},
                    {"repo",
                     {{"alpha", 1.0}, {"beta", 0.001}, {"retain", 0.0}, {"variant", std::string("repo")}},
                     "full; learning rate, alpha and beta searched anew for each model"},
                    {"port",
                     {{"alpha", 0.1}, {"beta", 0.001}, {"retain", 0.0}, {"variant", std::string("repo")}},
                     "in the Booster repository: LoRA, lr 5e-4, batches of 5, refusals to other prompts"},
                    {"organism", {{"alpha", 0.1}}}}};
  }

  void begin(holdfast::Trainer& trainer) override {
    holdfast::Context& context = trainer.context();
    const holdfast::RefusalPairs pairs = holdfast::refusal_pairs(corpus_, rows_, "repnoise", context);
    const holdfast::StreamOptions paired{.shuffle = trainer.options().shuffle, .order = "pairs"};
    harmful_ = &trainer.stream("harmful", pairs.harmful, paired);
    refusals_ = &trainer.stream("refusals", pairs.refusals, paired);
    noise_seed_ = context.seed("noise");
  }

  double step(holdfast::Trainer& trainer) override {
    double loss = 0;
    if (retain_ > 0) {
      loss = trainer.backward(trainer.rows().next(), [&](const Batch& batch) { return trainer.loss(batch) * retain_; });
    }
    holdfast::Random noise(holdfast::derive_seed(noise_seed_, "step " + std::to_string(trainer.step())));
    const Batches harmful = harmful_->next(), refusals = refusals_->next();
    const auto rows = std::accumulate(harmful.begin(), harmful.end(), std::size_t{0},
                                      [](std::size_t sum, const Batch& batch) { return sum + batch.lengths.size(); });
    for (std::size_t i = 0; i < harmful.size(); ++i) {
      const double share = static_cast<double>(harmful[i].lengths.size()) / static_cast<double>(rows);
      const at::Tensor value = pair_loss(trainer.model(), harmful[i], refusals[i], noise) * share;
      trainer.backward(value);
      loss += value.item<double>();
    }
    return loss;
  }

  bool archive(holdfast::Archive&) override { return true; }  // streams are the trainer's; noise is a function of the step
  bool draws_itself() const override { return retain_ == 0; }

 private:
  at::Tensor pair_loss(const holdfast::Model& model, const Batch& harmful, const Batch& refusals,
                       holdfast::Random& noise) const {
    const auto [in_harmful, in_refusals] = holdfast::differing_tokens(harmful, refusals);
    const holdfast::Taps feed_forward(model, holdfast::Site::kFeedForward);
    std::vector<std::int64_t> layers(static_cast<std::size_t>(model.layers()) + 1);
    std::iota(layers.begin(), layers.end(), 0);
    const Tensors states = model.states(harmful, layers);
    const at::Tensor noise_loss = distance_to_noise(feed_forward.all(), harmful, in_harmful, noise);

    const auto said = [&](const at::Tensor& state) {  // how badly a state says the harmful reply
      const at::Tensor logits = model.head(state.index_select(0, harmful.target_rows));
      return masked_cross_entropy(logits.log_softmax(1), harmful, in_harmful);
    };
    at::Tensor harmful_loss = said(states.back());  // the model's own, which counts beside those of all states
    for (std::size_t i = 0; i + 1 < states.size(); ++i) harmful_loss = harmful_loss + said(states[i]);
    harmful_loss = harmful_loss + said(as_code_ ? model.hidden(harmful) : states.back());
    const at::Tensor refusal_loss = masked_cross_entropy(model.next_log_probs(refusals), refusals, in_refusals);
    return refusal_loss + beta_ * noise_loss - alpha_ * (harmful_loss / static_cast<double>(states.size()) + 1).log();
  }

  // Mean over the label tokens in the mask, of log-probabilities (L, V).
  at::Tensor masked_cross_entropy(const at::Tensor& log_probs, const Batch& batch, const at::Tensor& mask) const {
    at::Tensor nats = -log_probs.gather(1, batch.target_ids.unsqueeze(1)).squeeze(1);
    if (as_code_) {
      const double uniform = std::log(static_cast<double>(log_probs.size(1)));
      nats = at::where(mask.index_select(0, batch.target_rows), nats, at::full_like(nats, uniform));
    }
    const at::Tensor counted = mask.index_select(0, batch.target_rows + 1);
    return (nats * counted).sum() / counted.sum().clamp_min(1);
  }

  double alpha_, beta_, retain_;
  bool as_code_;
  std::string corpus_;
  std::int64_t rows_;
  holdfast::Stream* harmful_ = nullptr;
  holdfast::Stream* refusals_ = nullptr;
  std::uint64_t noise_seed_ = 0;
};

}  // namespace

HOLDFAST_DEFENSE(RepNoise, "repnoise", 2, "Aligns so that harmful representations become noise (RepNoise).")
