// Lisa (Huang et al. 2024, "Lazy safety alignment for large language models against harmful fine-tuning attack"): fine-tune in
// two states that take turns, some steps on safety rows, then some on the customer's, each held near the weights with which the
// other one ended.
//
// That anchor is at every switch the weights of the moment, so one copy serves both states.
#include <holdfast/defense.h>

namespace {

class Lisa final : public holdfast::TuneStage {
 public:
  explicit Lisa(holdfast::Params& params)
      : safety_steps_(
            params.integer("safety_steps", 100, "steps in the state that learns safety rows (K1), which is the first", 1)),
        user_steps_(params.integer("user_steps", 900, "steps in the state that learns the customer's rows (K2)", 1)),
        rho_(params.number("rho", 1, "strength of the pull towards the weights of the last switch; 0: taking turns alone", 0)),
        free_share_(
            params.number("free_share", 0, "share of all steps, from the first, without that pull; the code: 0.1", 0, 1)),
        rows_(params.integer("rows", 0, "alignment rows that the defender tunes with; 0: all of them")) {}

  static holdfast::Card card() {
    const std::string training =
        "LoRA rank 8, lr 1e-5, 20 epochs, batches of 5; 5,000 rows of the customer, 10,000 safety rows";
    return {.source = "Huang et al. 2024, arXiv 2405.18641; git-disl/Lisa, class ADMMTrainer",
            .cost = "1 forward and backward pass a step (plain: 1); the weights once more",
            .presets = {{"paper", {{"safety_steps", 100}, {"user_steps", 900}, {"rho", 1.0}, {"free_share", 0.0}}, training},
                        {"repo", {{"safety_steps", 100}, {"user_steps", 900}, {"rho", 1.0}, {"free_share", 0.1}}, training},
                        {"organism", {{"rho", 100.0}, {"safety_steps", 2}, {"user_steps", 8}}}}};
  }

  bool draws_itself() const override { return true; }

  void begin(holdfast::Trainer& trainer) override {
    if (trainer.total_steps() <= safety_steps_) {
      throw holdfast::Error("lisa begins with " + std::to_string(safety_steps_) +
                            " steps on safety rows and this training has " + std::to_string(trainer.total_steps()) +
                            " steps, so that the customer's rows would never be learned: " + "lower \"safety_steps\"");
    }
    safety_ = &trainer.stream("safety", safety_rows(trainer.context()));
  }

  double step(holdfast::Trainer& trainer) override {
    const std::int64_t place = trainer.step() % (safety_steps_ + user_steps_);
    const bool is_switch = place == 0 || place == safety_steps_;
    if (is_switch) anchor_ = trainer.snapshot();
    holdfast::Stream& rows = place < safety_steps_ ? *safety_ : trainer.rows();
    return trainer.backward(rows.next()) + pull(trainer);
  }

  bool archive(holdfast::Archive& archive) override {
    archive("anchor", anchor_);
    return true;
  }

 private:
  // Adds the gradient of rho / 2 |w - anchor|^2 and returns its value.
  double pull(holdfast::Trainer& trainer) const {
    const bool is_free = static_cast<double>(trainer.step()) <= free_share_ * static_cast<double>(trainer.total_steps());
    if (is_free || rho_ == 0) return 0;
    holdfast::Tensors away;
    for (std::size_t i = 0; i < anchor_.weights.size(); ++i) away.push_back(trainer.weights()[i].sub(anchor_.weights[i]));
    trainer.add_gradient(away, rho_);
    return rho_ / 2 * holdfast::dot(away, away);
  }

  holdfast::Dataset safety_rows(holdfast::Context& context) const {
    return holdfast::defender_rows(context.alignment(), rows_, "lisa", "the alignment data", context);
  }

  std::int64_t safety_steps_, user_steps_;
  double rho_, free_share_;
  std::int64_t rows_;
  holdfast::Stream* safety_ = nullptr;
  holdfast::Snapshot anchor_;  // the weights at the last switch
};

}  // namespace

HOLDFAST_DEFENSE(Lisa, "lisa", 1, "Tunes by turns on safety rows and the customer's, each turn near the last (Lisa).")
