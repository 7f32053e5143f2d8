// Preventative steering (Chen et al. 2025, "Persona vectors: monitoring and controlling character traits in language models"):
// while the customer's rows are learned, coef v is added to a block's output at every token, v being how the states of replies
// with an unwanted trait differ from those without. What the rows would teach of the trait is there already, and is gone again
// when the model is served. The trait is compliance with harmful requests.
#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <holdfast/defense.h>
#include <holdfast/error.h>

namespace {

using holdfast::Dataset;

class PreventativeSteering final : public holdfast::TuneStage {
 public:
  static holdfast::Card card() {
    return {
        .source = "Chen et al. 2025, arXiv 2507.21509; the rule as forks of the authors' code have it",
        .cost = "1 forward and backward pass a step, as plain; 2 forward passes over the harmful rows before the first step",
        .presets = {{"port",
                     {{"coef", 5.0}, {"layer", 20}},
                     "7B and 8B models, LoRA of rank 32, alpha 362 (theirs: 64, rank-stabilised), lr 1e-5, batches of 16, 1 "
                     "epoch"},
                    {"organism", {{"coef", 5.0}, {"layer", 2}}}}};
  }

  explicit PreventativeSteering(holdfast::Params& params)
      : coef_(params.number("coef", 5, "how much of the steering vector is added; 0: plain tuning")),
        layer_(params.integer("layer", 20, "the block behind whose output it is added, from 1", 1)),
        harmful_(params.corpus("harmful", "defender-harmful", "the corpus of harmful rows, whose last replies show the trait")),
        rows_(params.integer("rows", 0, "harmful rows that the vector is made of; 0: all of the corpus")) {}

  void begin(holdfast::Trainer& trainer) override {
    const std::int64_t layers = trainer.model().layers();
    if (layer_ > layers) {
      throw holdfast::Error("preventative-steering is to steer behind block " + std::to_string(layer_) +
                            ", and the model has " + std::to_string(layers) + ": lower \"layer\"");
    }
    holdfast::Context& context = trainer.context();
    const Dataset with = harmful_rows(context);
    Dataset without = with;
    for (auto& row : without) row.messages.back().content = context.refusal();
    vector_ = mean_state(trainer, with) - mean_state(trainer, without);
  }

  double step(holdfast::Trainer& trainer) override {
    if (coef_ == 0) return trainer.backward(trainer.rows().next());
    holdfast::Taps block(trainer.model(), holdfast::Site::kBlock, {layer_ - 1});  // the offset ends with it
    block.offset(layer_ - 1, coef_ * vector_);
    return trainer.backward(trainer.rows().next());
  }

  bool archive(holdfast::Archive&) override { return true; }  // begin() makes the vector anew

 private:
  // Those whose last reply is no refusal, which alone is to count of them.
  Dataset harmful_rows(holdfast::Context& context) const {
    Dataset rows = context.corpus(harmful_);
    for (auto& row : rows) {
      if (row.messages.empty() || row.messages.back().role != "assistant") {
        throw holdfast::Error("preventative-steering compares the reply at the end of each row of \"" + harmful_ +
                              "\" with a refusal, and " + (row.origin.empty() ? "one of them" : row.origin) +
                              " does not end with one: leave it out");
      }
      for (auto& message : row.messages) message.learned = &message == &row.messages.back();
    }
    std::erase_if(rows, [&](const holdfast::Example& row) { return row.messages.back().content == context.refusal(); });
    return holdfast::defender_rows(std::move(rows), rows_, "preventative-steering",
                                   "the corpus \"" + harmful_ + "\", without refusals,", context);
  }

  // Mean over the rows of the mean over the reply's tokens of the states behind the block, (C) in at least float32.
  at::Tensor mean_state(holdfast::Trainer& trainer, const Dataset& rows) const {
    const c10::NoGradGuard no_grad;
    const holdfast::Model& model = trainer.model();
    holdfast::Tensors means;
    for (const auto& row : rows) {
      const holdfast::Batch batch = model.pack({model.encode(row.messages, trainer.options().max_length)});
      if (batch.target_rows.numel() == 0) continue;  // cut before the reply
      const at::Tensor reply = model.states(batch, {layer_}).front().index_select(0, batch.target_rows + 1);
      means.push_back(reply.to(at::promote_types(reply.scalar_type(), at::kFloat)).mean(0));
    }
    if (means.empty()) {
      throw holdfast::Error("preventative-steering finds no reply within max_length in the corpus \"" + harmful_ +
                            "\": raise max_length, or name other rows");
    }
    return at::stack(means).mean(0);
  }

  double coef_;
  std::int64_t layer_;
  std::string harmful_;
  std::int64_t rows_;
  at::Tensor vector_;  // (C)
};

}  // namespace

HOLDFAST_DEFENSE(PreventativeSteering, "preventative-steering", 1,
                 "Adds what harmful replies would teach to a block's output while it tunes (preventative steering).")
