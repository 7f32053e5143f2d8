// One-shot patching (Zhang et al. 2026, "Safety at one shot: patching fine-tuned LLMs with a single instance"): a few steps on
// one safety row after tuning. README.md states how the row is chosen, and what of it is ours.
#include <holdfast/defender.h>
#include <holdfast/defense.h>

#include <optional>

namespace {

using holdfast::Batches;
using holdfast::Tensors;

class OneShotPatch final : public holdfast::RepairStage {
 public:
  explicit OneShotPatch(holdfast::Params& params)
      : steps_(params.integer("steps", 10, "steps on the one row", 1)),
        lr_(params.number("lr", 0, "learning rate, the same in each step; 0: as the alignment did", 0)),
        rows_(params, "one-shot-patch") {}

  static holdfast::Card card() {
    return {.source = "Zhang et al. 2026, ICLR, arXiv 2601.01887: the abstract; how the row is chosen is ours",
            .cost = "2 forwards and backwards for each safety row that is chosen from, and one a step; one list of gradients",
            .presets = {{"drawn", {{"rows", 1}, {"steps", 10}}, "not read"},
                        {"aligned", {{"rows", 0}, {"steps", 10}}, "not read"},
                        {"organism", {{"rows", 32}, {"steps", 10}, {"lr", 6e-5}}}}};
  }

  void repair(holdfast::Model& model, holdfast::Context& context) override {
    const holdfast::Dataset rows = rows_.draw(context);
    holdfast::TrainingOptions options = context.align_options();
    if (lr_ > 0) options.lr = lr_;
    options.schedule = "constant";
    options.warmup_steps = 0;
    options.batch_size = static_cast<std::int64_t>(rows.size());  // so that an epoch is one step
    options.epochs = steps_;
    std::optional<Batches> patch;
    context.train(model, rows, options, [&](holdfast::Trainer& trainer) {
      if (!patch) patch = most_aligned(trainer, rows, context);
      return trainer.backward(*patch);
    });
  }

 private:
  // The row whose gradient has the largest cosine with the sum of all rows'; the first of equal ones.
  static Batches most_aligned(holdfast::Trainer& trainer, const holdfast::Dataset& rows, holdfast::Context& context) {
    std::vector<Batches> candidates;
    for (const auto& row : rows) {
      const holdfast::Batch alone = trainer.model().pack({trainer.model().encode(row.messages, trainer.options().max_length)});
      if (alone.normalizer > 0) candidates.push_back({alone});
    }
    Tensors sum;
    for (const auto& candidate : candidates) {
      const Tensors gradient = trainer.gradients(candidate);
      if (sum.empty()) {
        sum = gradient;
        continue;
      }
      for (std::size_t i = 0; i < sum.size(); ++i) sum[i].add_(gradient[i]);
    }
    const double length = holdfast::norm(sum);
    std::size_t best = 0;
    double best_cosine = -2;
    for (std::size_t i = 0; i < candidates.size(); ++i) {
      const Tensors gradient = trainer.gradients(candidates[i]);
      const double lengths = holdfast::norm(gradient) * length;
      const double cosine = lengths > 0 ? holdfast::dot(gradient, sum) / lengths : 0;
      if (cosine <= best_cosine) continue;
      best = i;
      best_cosine = cosine;
    }
    context.report("cosine-with-all", best_cosine, static_cast<std::int64_t>(candidates.size()));
    return candidates[best];
  }

  std::int64_t steps_;
  double lr_;
  holdfast::SafetyRows rows_;
};

}  // namespace

HOLDFAST_DEFENSE(OneShotPatch, "one-shot-patch", 1, "Takes a few steps on one safety row after tuning (one-shot patching).")
