// CRL (Simko et al. 2025, "Improving large language model safety with contrastive representation learning"): triplets of hidden
// states at the answers' tokens. What the model makes of a safe answer stays near what it made of it before training, and far
// from where harmful answers are; what it makes of a harmful answer moves to where the others are, away from where it was. A
// divergence holds the rest. README.md states the loss.
#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <holdfast/defender.h>
#include <holdfast/defense.h>
#include <holdfast/error.h>

#include <algorithm>

#include "card.h"

namespace {

using holdfast::Batch;
using holdfast::Batches;
using holdfast::Model;
using holdfast::Tensors;

at::Tensor cosine(const at::Tensor& x, const at::Tensor& y) {
  const auto direction = [](const at::Tensor& z) { return z / z.norm(2, {1}, /*keepdim=*/true).clamp_min(1e-12); };
  return (direction(x) * direction(y)).sum(1);
}

// Between the rows of x (n, C) and those of y, (n, C) or (1, C): (n).
at::Tensor distance(const std::string& kind, const at::Tensor& x, const at::Tensor& y) {
  if (kind == "norm") return (x - y).norm(2, {1});
  if (kind == "cosine") return 1 - cosine(x, y);
  if (kind == "mix") return (x - y).norm(2, {1}) + 10 * (1 - cosine(x, y).relu());
  if (kind == "directions") return 0.6 * (1 - cosine(x, y));  // 0.3 |x / |x| - y / |y||^2
  return at::zeros({x.size(0)}, x.options());
}

// What transformers calls hidden_states, (N, C) each: the embedding, what stands behind each block, and behind the last one its
// norm.
Tensors hidden_states(const Model& model, const Batch& batch) {
  Tensors states = model.states(batch, {0});
  const holdfast::Taps blocks(model, holdfast::Site::kBlock);
  const at::Tensor last = model.hidden(batch);
  for (std::int64_t block = 0; block + 1 < model.layers(); ++block) states.push_back(blocks.at(block));
  states.push_back(last);
  return states;
}

// Those of a whole optimizer batch at the tokens of its answers, (n, C) each.
Tensors answer_states(const Model& model, const Batches& batches) {
  std::vector<Tensors> parts(static_cast<std::size_t>(model.layers()) + 1);
  for (const auto& batch : batches) {
    const Tensors states = hidden_states(model, batch);
    for (std::size_t layer = 0; layer < parts.size(); ++layer) {
      const at::Tensor own = states[layer].index_select(0, batch.target_rows + 1);
      parts[layer].push_back(own.to(at::promote_types(own.scalar_type(), at::kFloat)));
    }
  }
  Tensors all;
  for (const auto& part : parts) all.push_back(at::cat(part));
  return all;
}

// Log-probabilities of the next token behind every token, both logits divided by the temperature, (N, V).
at::Tensor flat_log_probs(const Model& model, Batch batch, double temperature) {
  batch.target_rows = at::arange(batch.ids.size(0), batch.ids.options());
  batch.shared_prefix = 0;
  return (model.next_log_probs(batch) / temperature).log_softmax(1);
}

class Crl final : public holdfast::AlignStage {
 public:
  explicit Crl(holdfast::Params& params)
      : alpha_(params.number("alpha", 0.5, "weight of the safe answers' triplets", 0)),
        beta_(params.number("beta", 0.4, "weight of the harmful answers' triplets", 0)),
        gamma_(params.number("gamma", 0.9, "weight of the divergence from the model before training", 0)),
        retain_(params.number("retain", 1,
                              "weight of the plain loss on the alignment's own rows; 0: triplets and divergence alone, as "
                              "published",
                              0)),
        safe_margin_(params.number("safe_margin", 500, "margin of a safe triplet, in the unit of its distances")),
        unsafe_margin_(params.number("unsafe_margin", 1500, "margin of a harmful triplet, in the unit of its distances")),
        safe_near_(distance_of(params, "safe_near", "of a safe state from what it was")),
        safe_far_(distance_of(params, "safe_far", "of a safe state from the harmful ones' mean")),
        unsafe_near_(distance_of(params, "unsafe_near", "of a harmful state from the harmful ones' mean")),
        unsafe_far_(distance_of(params, "unsafe_far", "of a harmful state from what it was")),
        first_layer_(
            params.integer("first_layer", 0,
                           "first of the harmful triplets' layers, from 1 behind the first block; 0: at five eighths, as "
                           "20 of 32")),
        last_layer_(params.integer("last_layer", 0, "last of them; 0: the last but one, as 31 of 32")),
        all_layers_(params.choice("safe_layers", "all", {"all", "unsafe"},
                                  "layers of the safe triplets: all, embedding included, or those of the harmful ones") ==
                    "all"),
        temperature_(params.number("temperature", 2, "that of both distributions in the divergence", 1e-3)),
        per_row_(params.choice("divergence", "row", {"row", "token"},
                               "divergences of all tokens, as a mean over rows or tokens") == "row"),
        harmful_(params.corpus("harmful", "defender-harmful", "corpus of the harmful rows")),
        rows_(params.integer("rows", 0, "harmful rows that the defender holds; 0: all of the corpus")) {
    if (last_layer_ != 0 && last_layer_ < first_layer_) params.mistake("last_layer", "last_layer is below first_layer");
  }

  static holdfast::Card card() { return crl::card(); }

  void begin(holdfast::Trainer& trainer) override {
    const std::int64_t layers = trainer.model().layers();
    first_ = first_layer_ > 0 ? first_layer_ : std::max<std::int64_t>(1, layers * 5 / 8);
    last_ = last_layer_ > 0 ? last_layer_ : std::max(first_, layers - 1);
    if (last_ > layers) {
      throw holdfast::Error("crl is asked for layers " + std::to_string(first_) + " to " + std::to_string(last_) +
                            " and the model has " + std::to_string(layers) + ": lower first_layer and last_layer");
    }
    holdfast::Context& context = trainer.context();
    const holdfast::StreamOptions order{.shuffle = trainer.options().shuffle};
    unsafe_ = &trainer.stream("unsafe", holdfast::harmful_rows(harmful_, rows_, "crl", context), order);
    general_ = &trainer.stream("general", holdfast::general_rows(context.alignment(), "crl"), order);
    trainer.reference();
  }

  double step(holdfast::Trainer& trainer) override {
    const Batches safe = trainer.rows().next(), unsafe = unsafe_->next(), general = general_->next();
    double loss = 0;
    if (retain_ > 0) loss = trainer.backward(safe, [&](const Batch& batch) { return trainer.loss(batch) * retain_; });
    if (alpha_ > 0 || beta_ > 0) {
      const at::Tensor contrast = triplets(trainer, safe, unsafe);
      trainer.backward(contrast);
      loss += contrast.item<double>();
    }
    for (std::size_t i = 0; i < general.size() && gamma_ > 0; ++i) {
      const at::Tensor value = gamma_ * divergence(trainer, general[i]) / count(general);
      trainer.backward(value);
      loss += value.item<double>();
    }
    return loss;
  }

  bool archive(holdfast::Archive&) override { return true; }  // nothing is kept between two steps

 private:
  static std::string distance_of(holdfast::Params& params, const std::string& name, const std::string& what) {
    return params.choice(name, "norm", {"norm", "cosine", "mix", "directions", "none"}, "distance " + what);
  }

  // alpha L_safe + beta L_unsafe, means over layers and tokens. The centre of the harmful states has its gradient.
  at::Tensor triplets(holdfast::Trainer& trainer, const Batches& safe, const Batches& unsafe) const {
    const Tensors h_safe = answer_states(trainer.model(), safe), h_unsafe = answer_states(trainer.model(), unsafe);
    const auto [was_safe, was_unsafe] = [&] {
      const c10::NoGradGuard no_grad;
      return std::pair{answer_states(trainer.reference(), safe), answer_states(trainer.reference(), unsafe)};
    }();
    at::Tensor safe_sum = at::zeros({}, h_safe.front().options()), unsafe_sum = safe_sum;
    std::int64_t safe_layers = 0;
    for (std::int64_t layer = 0; layer <= trainer.model().layers(); ++layer) {
      const auto l = static_cast<std::size_t>(layer);
      const bool is_unsafe = first_ <= layer && layer <= last_;
      const at::Tensor centre = h_unsafe[l].mean(0, /*keepdim=*/true);
      if (all_layers_ || is_unsafe) {
        const at::Tensor near = distance(safe_near_, h_safe[l], was_safe[l]), far = distance(safe_far_, h_safe[l], centre);
        safe_sum = safe_sum + (near - far + safe_margin_).relu().mean();
        ++safe_layers;
      }
      if (is_unsafe) {
        const at::Tensor near = distance(unsafe_near_, h_unsafe[l], centre);
        const at::Tensor far = distance(unsafe_far_, h_unsafe[l], was_unsafe[l]);
        unsafe_sum = unsafe_sum + (near - far + unsafe_margin_).relu().mean();
      }
    }
    return alpha_ / static_cast<double>(safe_layers) * safe_sum + beta_ / static_cast<double>(last_ - first_ + 1) * unsafe_sum;
  }

  // L_KL, as a sum over the batch's tokens.
  at::Tensor divergence(holdfast::Trainer& trainer, const Batch& batch) const {
    const at::Tensor now = flat_log_probs(trainer.model(), batch, temperature_);
    const at::Tensor was = [&] {
      const c10::NoGradGuard no_grad;
      return flat_log_probs(trainer.reference(), batch, temperature_);
    }();
    return temperature_ * temperature_ * (was.exp() * (was - now)).sum();
  }

  // What it is a mean over.
  double count(const Batches& batches) const {
    double rows = 0, tokens = 0;
    for (const auto& batch : batches) {
      rows += static_cast<double>(batch.lengths.size());
      tokens += static_cast<double>(batch.ids.size(0));
    }
    return per_row_ ? rows : tokens;
  }

  double alpha_, beta_, gamma_, retain_, safe_margin_, unsafe_margin_;
  std::string safe_near_, safe_far_, unsafe_near_, unsafe_far_;
  std::int64_t first_layer_, last_layer_;  // as set
  bool all_layers_;
  double temperature_;
  bool per_row_;
  std::string harmful_;
  std::int64_t rows_;
  std::int64_t first_ = 0, last_ = 0;  // of this model
  holdfast::Stream* unsafe_ = nullptr;
  holdfast::Stream* general_ = nullptr;
};

}  // namespace

HOLDFAST_DEFENSE(Crl, "crl", 1, "Aligns so that harmful answers' hidden states lie together, far from safe ones (CRL).")
