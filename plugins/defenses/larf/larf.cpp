// LARF (layer-aware representation filtering): rows whose last state is more like those of answered harmful requests than like
// those of refused ones are dropped. README.md states the rule.
#include <ATen/ATen.h>
#include <holdfast/defender.h>
#include <holdfast/defense.h>
#include <holdfast/error.h>
#include <holdfast/row_ranking.h>
#include <holdfast/row_states.h>

namespace {

// The published layer of a model of 32 blocks, as a share of any model's.
constexpr double kDepth = 14.0 / 32;

class Larf final : public holdfast::ScreenStage {
 public:
  explicit Larf(holdfast::Params& params)
      : layer_(params, "larf", kDepth),
        largest_(params.integer("largest", 0, "of a row's differences, one a pair of anchors, how many count; 0: all")),
        harmful_(params.corpus("harmful", "defender-harmful", "the corpus of harmful rows, which are the anchors")),
        rows_(params.integer("rows", 0, "how many of those rows are anchors; 0: all of the corpus")),
        top_(params, "larf", 0.1) {}

  static holdfast::Card card() {
    return {.source = "LARF (layer-aware representation filtering), the rule as in the authors' code (LLLeoLi/LARF)",
            .cost = "1 forward a submitted row as far as the layer, 2 an anchor; no further memory (plain: none)",
            .presets = {{"repo",
                         {{"layer", 14}, {"largest", 100}, {"rows", 100}, {"select", "count"}, {"count", 1000}},
                         "an 8B model of 32 blocks; LoRA of rank 8, lr 1e-4, 3 epochs, batches of 16, warm-up 0.1"},
                        {"organism", {{"select", "threshold"}, {"threshold", 0.0}}}}};
  }

  holdfast::Dataset screen(holdfast::Dataset data, holdfast::Context& context) override {
    if (data.empty()) return data;
    const holdfast::RefusalPairs anchors = holdfast::refusal_pairs(harmful_, rows_, "larf", context);
    check_anchors(static_cast<std::int64_t>(anchors.harmful.size()));
    const holdfast::Model& model = context.aligned_model();
    const std::int64_t layer = layer_.of(model), max_length = context.finetune_options().max_length;
    const auto directions = [&](const holdfast::Dataset& rows) {
      const at::Tensor last = holdfast::row_states(model, rows, {layer}, max_length).front().last;
      return last / last.norm(2, 1, true);
    };
    const at::Tensor rows = directions(data);
    const at::Tensor differences = rows.matmul(directions(anchors.harmful).t()) - rows.matmul(directions(anchors.refusals).t());
    const at::Tensor counted = largest_ == 0 ? differences : std::get<0>(differences.topk(largest_, 1));
    const at::Tensor scores = counted.mean(1).to(at::kCPU, at::kDouble).contiguous();
    return top_.dropped(std::move(data), {scores.data_ptr<double>(), scores.data_ptr<double>() + scores.numel()}, context);
  }

  unsigned needs() const override { return holdfast::kNeedsAligned; }

 private:
  void check_anchors(std::int64_t anchors) const {
    if (anchors == 0) {
      throw holdfast::Error("larf needs anchors, and the corpus \"" + harmful_ +
                            "\" has no row that does not refuse: name another corpus");
    }
    if (largest_ <= anchors) return;
    throw holdfast::Error("larf is to take the " + std::to_string(largest_) + " largest differences and has " +
                          std::to_string(anchors) + " pairs of anchors: lower \"largest\"");
  }

  holdfast::LayerChoice layer_;
  std::int64_t largest_;
  std::string harmful_;
  std::int64_t rows_;
  holdfast::TopRows top_;
};

}  // namespace

HOLDFAST_DEFENSE(Larf, "larf", 1, "Drops rows whose states are more like answered harmful requests than refused ones (LARF).")
