// TAR (Tamirisa et al. 2024, "Tamper-resistant safeguards for open-weight LLMs"): align against adversaries that are simulated
// in each step. One is drawn and fine-tunes the model with AdamW; on its way the gradient of a tamper-resistance loss is taken
// at the moved weights, on harmful rows that it does not see, and added up first-order; the weights go back, and the step
// descends that sum and the retain loss together.
#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <holdfast/defender.h>
#include <holdfast/defense.h>

#include <algorithm>
#include <cmath>

#include "card.h"
#include "losses.h"

namespace {

using holdfast::Batch;
using holdfast::Batches;
using holdfast::Tensors;
using tar::distance, tar::preference, tar::rows_of, tar::tokens_of;

constexpr double kAdversaryDecay = 0.01;  // torch's default for AdamW, which the code leaves

class Tar final : public holdfast::AlignStage {
 public:
  explicit Tar(holdfast::Params& params)
      : inner_steps_(params.integer("inner_steps", 64, "steps that each adversary trains (K)", 1)),
        resist_every_(params.integer("resist_every", 4, "inner steps from one tamper-resistance gradient to the next", 1)),
        resist_weight_(params.number("resist_weight", 4, "weight of the tamper-resistance gradients; 0: no adversaries", 0)),
        growth_(params.number("growth", 0.0625, "inner step i of K counts exp(growth (i - K + 1)): later ones count more", 0)),
        adversaries_(params.strings("adversaries", {"forget", "switch"},
                                    "what adversaries train on, one drawn each time: forget (harmful rows), related (a corpus "
                                    "of that setting), switch (alignment rows, then harmful ones)")),
        rates_(rates(params, params.strings("adversary_lrs", {"2e-5", "4e-5"}, "their learning rates, one drawn each time"))),
        adversaries_a_step_(params.integer("adversaries_a_step", 1, "adversaries drawn in each step", 1)),
        adversary_batch_size_(params.integer("adversary_batch_size", 4, "rows of an adversary's batch", 1)),
        warmup_(params.choice("warmup", "none", {"none", "constant"},
                              "constant: the adversaries' warm-up as the code has it, a factor of inner_steps / 20 all along")),
        resist_(params.choice("resist", "entropy", {"entropy", "dpo"},
                              "the tamper-resistance loss: negative entropy of the next token, or DPO of a refusal over the "
                              "harmful reply")),
        positions_(params.choice("positions", "all", {"all", "reply"}, "the tokens whose entropy counts: all, or the reply's")),
        dpo_beta_(params.number("dpo_beta", 0.1, "beta of DPO", 0)),
        retain_weight_(
            params.number("retain_weight", 1, "weight of the loss on the alignment's own rows, which is retained", 0)),
        distance_weight_(
            params.number("distance_weight", 1,
                          "weight, in that loss, of the hidden states' distance from the reference's; 0: no reference", 0)),
        held_out_(params.number("held_out", 0.2, "share of the harmful rows that adversaries do not see", 0.01, 0.99)),
        harmful_(params.corpus("harmful", "defender-harmful", "the corpus of harmful rows")),
        related_(params.corpus("related", "", "the corpus of the adversary \"related\"")),
        rows_(params.integer("rows", 0, "harmful rows that the defender holds; 0: all of the corpus")) {
    check(params);
  }

  static holdfast::Card card() { return tar::card(); }

  void begin(holdfast::Trainer& trainer) override {
    holdfast::Context& context = trainer.context();
    auto seen = holdfast::refusal_pairs(harmful_, rows_, "tar", context);  // by adversaries, once the others are taken out
    const std::size_t all = seen.harmful.size();
    const auto unseen = static_cast<std::ptrdiff_t>(std::lround(held_out_ * static_cast<double>(all)));
    if (unseen == 0 || unseen == static_cast<std::ptrdiff_t>(all)) {
      throw holdfast::Error(
          "tar keeps a share of " + std::to_string(held_out_) + " of its " + std::to_string(all) +
          " harmful rows from adversaries, which leaves one side none: raise \"rows\", or change \"held_out\"");
    }
    const auto take_unseen = [&](holdfast::Dataset& rows) {
      holdfast::Random(context.seed("held out")).shuffle(rows);  // pairs stay together
      const holdfast::Dataset taken(rows.begin(), rows.begin() + unseen);
      rows.erase(rows.begin(), rows.begin() + unseen);
      return taken;
    };
    const holdfast::StreamOptions paired{.shuffle = trainer.options().shuffle, .order = "held out"};
    const holdfast::StreamOptions adversary{.batch_size = adversary_batch_size_, .shuffle = trainer.options().shuffle};
    held_out_rows_ = &trainer.stream("held out", take_unseen(seen.harmful), paired);
    if (resist_ == "dpo") refusals_ = &trainer.stream("refusals", take_unseen(seen.refusals), paired);
    forget_rows_ = &trainer.stream("forget", seen.harmful, adversary);
    if (may_draw("switch")) retain_rows_ = &trainer.stream("retain", context.alignment(), adversary);
    if (may_draw("related")) {
      const auto rows = holdfast::defender_rows(context.corpus(related_), 0, "tar", "the corpus \"" + related_ + "\"", context);
      related_rows_ = &trainer.stream("related", rows, adversary);
    }
    if (distance_weight_ > 0 || resist_ == "dpo") trainer.reference();
    seed_ = context.seed("adversaries");
  }

  // Leaves R + retain_weight * grad L_retain(w).
  double step(holdfast::Trainer& trainer) override {
    const Tensors r = resist_weight_ > 0 ? resistance_gradient(trainer) : Tensors();
    const Batches own = trainer.rows().next();
    const double tokens = tokens_of(own);
    const double loss = trainer.backward(own, [&](const Batch& batch) {
      const at::Tensor cross_entropy = trainer.loss(batch);
      if (distance_weight_ == 0) return cross_entropy * retain_weight_;
      const at::Tensor moved = distance(trainer.model(), trainer.reference(), batch) * (distance_weight_ / tokens);
      return (cross_entropy + moved) * retain_weight_;
    });
    trainer.add_gradient(r, 1);
    return loss;
  }

  bool archive(holdfast::Archive&) override { return true; }  // adversaries are a function of the step, streams the trainer's

 private:
  struct Adversary {
    std::string rows;
    double lr = 0;
    std::int64_t switches_at = 0;  // the first inner step on harmful rows
  };
  struct HeldOut {
    Batches harmful, refusals;
    Tensors preferred;  // by the reference, of each micro-batch
  };

  // R = resist_weight * sum over every resist_every-th inner step i of exp(growth (i - (K - 1))) grad L_TR(w_i), the mean of it
  // over the step's adversaries. The weights end where they were.
  Tensors resistance_gradient(holdfast::Trainer& trainer) {
    holdfast::Random random(holdfast::derive_seed(seed_, "step " + std::to_string(trainer.step())));
    const holdfast::Snapshot w = trainer.snapshot();
    Tensors sum;
    for (const auto& weight : trainer.weights()) sum.push_back(at::zeros_like(weight));
    for (std::int64_t a = 0; a < adversaries_a_step_; ++a) {
      const Adversary adversary = draw(random);
      const HeldOut held_out = next_held_out(trainer);
      const auto optimizer = trainer.optimizer(kAdversaryDecay);
      for (std::int64_t i = 0; i < inner_steps_; ++i) {
        optimizer->step(trainer.gradients(rows_at(adversary, i).next()), adversary.lr);
        if ((i + 1) % resist_every_ != 0) continue;  // the weights are w_i: the adversary has moved
        const double schedule = std::exp(growth_ * static_cast<double>(i - (inner_steps_ - 1)));
        add_resistance(trainer, held_out, resist_weight_ * schedule / static_cast<double>(adversaries_a_step_), sum);
      }
      trainer.restore(w);
    }
    return sum;
  }

  Adversary draw(holdfast::Random& random) const {
    Adversary drawn;
    drawn.rows = adversaries_[random.below(adversaries_.size())];
    const double warmup = warmup_ == "constant" ? static_cast<double>(inner_steps_) / 20 : 1;
    drawn.lr = rates_[random.below(rates_.size())] * warmup;
    std::vector<double> uniform(8);  // whose sixth smallest has the distribution Beta(6, 3)
    for (auto& each : uniform) each = random.uniform();
    std::nth_element(uniform.begin(), uniform.begin() + 5, uniform.end());
    drawn.switches_at = static_cast<std::int64_t>(uniform[5] * static_cast<double>(inner_steps_));
    return drawn;
  }

  holdfast::Stream& rows_at(const Adversary& adversary, std::int64_t inner_step) const {
    if (adversary.rows == "related") return *related_rows_;
    return adversary.rows == "switch" && inner_step < adversary.switches_at ? *retain_rows_ : *forget_rows_;
  }

  // One batch for all of an adversary's steps.
  HeldOut next_held_out(holdfast::Trainer& trainer) const {
    HeldOut next{held_out_rows_->next(), {}, {}};
    if (refusals_ == nullptr) return next;
    const c10::NoGradGuard no_grad;
    next.refusals = refusals_->next();
    for (std::size_t i = 0; i < next.harmful.size(); ++i) {
      next.preferred.push_back(preference(trainer.reference(), next.refusals[i], next.harmful[i]));
    }
    return next;
  }

  // Adds weight * grad L_TR, at the weights as they are, to the sum.
  void add_resistance(holdfast::Trainer& trainer, const HeldOut& held_out, double weight, Tensors& sum) const {
    for (std::size_t i = 0; i < held_out.harmful.size(); ++i) {
      const at::Tensor loss =
          resist_ == "dpo" ? dpo(trainer.model(), held_out, i) : negative_entropy(trainer.model(), held_out, i);
      const Tensors gradient = trainer.gradients(loss, trainer.parameters());
      for (std::size_t p = 0; p < sum.size(); ++p) sum[p].add_(gradient[p].to(sum[p].scalar_type()), weight);
    }
  }

  // A micro-batch's share of the mean over positions.
  at::Tensor negative_entropy(const holdfast::Model& model, const HeldOut& held_out, std::size_t i) const {
    Batch batch = held_out.harmful[i];
    double positions = batch.normalizer;
    if (positions_ == "all") {
      batch.target_rows = at::arange(batch.ids.size(0), batch.ids.options());
      positions = tokens_of(held_out.harmful);
    }
    const at::Tensor log_probs = model.next_log_probs(batch);
    return (log_probs.exp() * log_probs).sum() / positions;
  }

  // A micro-batch's share of the mean over pairs of -log sigmoid(beta (preference - the reference's)).
  at::Tensor dpo(const holdfast::Model& model, const HeldOut& held_out, std::size_t i) const {
    const at::Tensor gained = preference(model, held_out.refusals[i], held_out.harmful[i]) - held_out.preferred[i];
    return -at::log_sigmoid(dpo_beta_ * gained).sum() / rows_of(held_out.harmful);
  }

  bool may_draw(const std::string& adversary) const {
    return std::count(adversaries_.begin(), adversaries_.end(), adversary) > 0;
  }

  static std::vector<double> rates(holdfast::Params& params, const std::vector<std::string>& texts) {
    std::vector<double> rates;
    for (const auto& text : texts) {
      char* end = nullptr;
      const double rate = std::strtod(text.c_str(), &end);
      const bool is_rate = !text.empty() && *end == 0 && std::isfinite(rate) && rate > 0;
      if (!is_rate)
        params.mistake("adversary_lrs", "\"" + text + "\" is no learning rate: write a positive number such as \"2e-5\"");
      rates.push_back(rate);
    }
    if (rates.empty()) params.mistake("adversary_lrs", "the list is empty: give adversaries a learning rate");
    return rates;
  }

  void check(holdfast::Params& params) const {
    if (adversaries_.empty()) params.mistake("adversaries", "the list is empty: name \"forget\", \"related\" or \"switch\"");
    for (const auto& each : adversaries_) {
      if (each == "forget" || each == "related" || each == "switch") continue;
      params.mistake("adversaries", "there is no adversary \"" + each + "\": name \"forget\", \"related\" or \"switch\"");
    }
    if (may_draw("related") && related_.empty()) {
      params.mistake("related", "the adversary \"related\" trains on a corpus of its own: name it");
    }
    if (resist_every_ > inner_steps_) {
      params.mistake("resist_every", std::to_string(resist_every_) +
                                         " inner steps to the first tamper-resistance gradient and " +
                                         std::to_string(inner_steps_) + " in all, so that there is none: lower it");
    }
  }

  std::int64_t inner_steps_, resist_every_;
  double resist_weight_, growth_;
  std::vector<std::string> adversaries_;
  std::vector<double> rates_;
  std::int64_t adversaries_a_step_, adversary_batch_size_;
  std::string warmup_, resist_, positions_;
  double dpo_beta_, retain_weight_, distance_weight_, held_out_;
  std::string harmful_, related_;
  std::int64_t rows_;
  holdfast::Stream *held_out_rows_ = nullptr, *refusals_ = nullptr, *forget_rows_ = nullptr, *retain_rows_ = nullptr,
                   *related_rows_ = nullptr;
  std::uint64_t seed_ = 0;
};

}  // namespace

HOLDFAST_DEFENSE(Tar, "tar", 1, "Aligns against simulated fine-tuning attacks, at the weights that they reach (TAR).")
