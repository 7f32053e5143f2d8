// SBR, safety bottleneck regularisation (arXiv 2605.05995): tune with the plain loss plus `weight` times the mean squared
// distance, over anchor prompts and width, between the last hidden state at the last token of a harmful prompt and the one of
// the model before tuning. What decides the reply to an anchor passes through that one state.
#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <holdfast/defense.h>
#include <holdfast/error.h>

namespace {

class Sbr final : public holdfast::TuneStage {
 public:
  static holdfast::Card card() {
    return {.source = "arXiv 2605.05995; the rule as the authors' code has it (soyoaaa/SBR)",
            .cost = "1 more forward and backward pass a step, over the anchor prompts; their states, (rows, C)",
            .presets = {{"repo",
                         {{"weight", 50.0}, {"rows", 8}},
                         "a 4-bit base with LoRA of rank 16, alpha 64 (theirs: 16, rank-stabilised) on all linears, lr 1e-5 "
                         "linear, batches of 32, 20 epochs"},
                        {"organism", {{"weight", 50.0}}}}};
  }

  explicit Sbr(holdfast::Params& params)
      : weight_(
            params.number("weight", 50, "weight of the squared distance from the states before tuning; 0: plain tuning", 0)),
        harmful_(params.corpus("harmful", "defender-harmful", "the corpus of harmful rows, whose prompts are the anchors")),
        rows_(params.integer("rows", 8, "anchor prompts, all of them in every step; 0: all of the corpus")) {}

  void begin(holdfast::Trainer& trainer) override {
    anchors_ = anchors(trainer);
    const c10::NoGradGuard no_grad;
    before_ = last_states(trainer.model());
  }

  double step(holdfast::Trainer& trainer) override {
    const double loss = trainer.backward(trainer.rows().next());
    if (weight_ == 0) return loss;
    const at::Tensor drift = weight_ * at::mse_loss(last_states(trainer.model()), before_);
    trainer.backward(drift);
    return loss + drift.item<double>();
  }

  bool archive(holdfast::Archive&) override { return true; }  // begin() makes anew all that is remembered

 private:
  holdfast::Batch anchors(holdfast::Trainer& trainer) const {
    holdfast::Context& context = trainer.context();
    const holdfast::Dataset rows =
        holdfast::defender_rows(context.corpus(harmful_), rows_, "sbr", "the corpus \"" + harmful_ + "\"", context);
    std::vector<holdfast::Encoded> prompts;
    for (const auto& row : rows) {
      holdfast::Conversation prompt = row.messages;
      while (!prompt.empty() && prompt.back().role != "user") prompt.pop_back();
      if (prompt.empty()) {
        throw holdfast::Error("sbr takes the prompt of each row of \"" + harmful_ + "\" as an anchor, and " +
                              (row.origin.empty() ? "one of them" : row.origin) + " has no user turn: leave it out");
      }
      const auto ids = trainer.model().encode_prompt(prompt);
      prompts.push_back({ids, std::vector<bool>(ids.size(), false)});
    }
    return trainer.model().pack(prompts);
  }

  // Behind the final norm, where the reply begins, (anchors, C) in at least float32.
  at::Tensor last_states(const holdfast::Model& model) const {
    std::vector<std::int64_t> last;
    std::int64_t end = 0;
    for (const auto length : anchors_.lengths) last.push_back((end += length) - 1);
    const at::Tensor states = model.hidden(anchors_);
    return states.index_select(0, at::tensor(last, states.options().dtype(at::kLong)))
        .to(at::promote_types(states.scalar_type(), at::kFloat));
  }

  double weight_;
  std::string harmful_;
  std::int64_t rows_;
  holdfast::Batch anchors_;
  at::Tensor before_;  // last_states() of the model before tuning
};

}  // namespace

HOLDFAST_DEFENSE(Sbr, "sbr", 1, "Holds the last hidden state of harmful prompts where it was while it tunes (SBR).")
