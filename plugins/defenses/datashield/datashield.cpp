// DataShield (arXiv 2606.00160): rows are dropped whose reply goes further from its prompt in the direction of compliance, the
// one in which states of harmful replies differ from those of refusals. README.md states the rule.
#include <ATen/ATen.h>
#include <holdfast/defender.h>
#include <holdfast/defense.h>
#include <holdfast/error.h>
#include <holdfast/row_ranking.h>
#include <holdfast/row_states.h>

#include <algorithm>
#include <numeric>

namespace {

using holdfast::RowStates;

struct Anchors {
  std::vector<RowStates> complying, refusing;  // one a layer that is asked for
};

at::Tensor at_least_float64(const at::Tensor& states) { return states.to(at::kDouble); }

// How far apart the two kinds stand along the difference of their means: v'S_b v / v'(S_b + S_w) v of their last states, each
// coordinate standardised over both.
double separation(const at::Tensor& complying, const at::Tensor& refusing) {
  const at::Tensor both = at::cat({at_least_float64(complying), at_least_float64(refusing)});
  const at::Tensor deviation = both.std(0, false);
  const at::Tensor scaled = (both - both.mean(0)) / at::where(deviation == 0, at::ones_like(deviation), deviation);
  const std::int64_t n = complying.size(0);
  const at::Tensor direction = scaled.narrow(0, 0, n).mean(0) - scaled.narrow(0, n, n).mean(0);
  const at::Tensor along = scaled.matmul(direction);  // of mean 0
  const at::Tensor half = direction.dot(direction) / 2;
  const double between = 2 * static_cast<double>(n) * half.square().item<double>();
  const double total = along.square().sum().item<double>();
  return total == 0 ? 0 : between / total;
}

class DataShield final : public holdfast::ScreenStage {
 public:
  explicit DataShield(holdfast::Params& params)
      : layer_(params.integer("layer", -1,
                              "the layer whose states are read: 0 is the embedding, l stands behind block l; -1: the one in "
                              "which complying and refusing are furthest apart",
                              -1)),
        harmful_(params.corpus("harmful", "defender-harmful", "the corpus of harmful rows, which the direction is made of")),
        rows_(params.integer("rows", 0, "how many of those rows; 0: all of the corpus")),
        top_(params, "datashield", 0.1) {}

  static holdfast::Card card() {
    return {.source = "DataShield, arXiv 2606.00160, the rule as in the authors' code (ZJunBo/DataShield)",
            .cost = "1 forward a submitted row, 2 a row that the direction is made of; no further memory (plain: none)",
            .presets = {{"repo",
                         {{"layer", 13}, {"select", "count"}, {"count", 1000}},
                         "an 8B model of 32 blocks; LoRA of rank 8, lr 1e-4, 3 epochs, batches of 16"},
                        {"organism", {{"select", "threshold"}, {"threshold", 0.0}}}}};
  }

  holdfast::Dataset screen(holdfast::Dataset data, holdfast::Context& context) override {
    if (data.empty()) return data;
    const holdfast::Model& model = context.aligned_model();
    const std::vector<std::int64_t> layers = candidates(model);
    const Anchors anchors = states_of_anchors(model, layers, context);
    const std::size_t best = furthest_apart(anchors);
    context.report("layer", static_cast<double>(layers[best]), static_cast<std::int64_t>(layers.size()));
    const at::Tensor direction = direction_of(anchors.complying[best], anchors.refusing[best]);
    const std::int64_t max_length = context.finetune_options().max_length;
    const RowStates rows = holdfast::row_states(model, data, {layers[best]}, max_length).front();
    const at::Tensor scores =
        at_least_float64(rows.reply - rows.prompt).matmul(direction).to(at::kCPU).contiguous();  // 0 without a reply
    return top_.dropped(std::move(data), {scores.data_ptr<double>(), scores.data_ptr<double>() + scores.numel()}, context);
  }

  unsigned needs() const override { return holdfast::kNeedsAligned; }

 private:
  std::vector<std::int64_t> candidates(const holdfast::Model& model) const {
    if (layer_ > model.layers()) {
      throw holdfast::Error("datashield is to read the states of layer " + std::to_string(layer_) +
                            ", and the model has 0 (the embedding) to " + std::to_string(model.layers()) +
                            ": lower \"layer\", or leave it out");
    }
    if (layer_ >= 0) return {layer_};
    std::vector<std::int64_t> all(static_cast<std::size_t>(model.layers()) + 1);
    std::iota(all.begin(), all.end(), 0);
    return all;
  }

  Anchors states_of_anchors(const holdfast::Model& model, const std::vector<std::int64_t>& layers,
                            holdfast::Context& context) const {
    const holdfast::RefusalPairs pairs = holdfast::refusal_pairs(harmful_, rows_, "datashield", context);
    if (pairs.harmful.empty()) {
      throw holdfast::Error("datashield needs harmful rows, and the corpus \"" + harmful_ +
                            "\" has none that does not refuse: name another corpus");
    }
    const std::int64_t max_length = context.finetune_options().max_length;
    Anchors anchors{holdfast::row_states(model, pairs.harmful, layers, max_length),
                    holdfast::row_states(model, pairs.refusals, layers, max_length)};
    for (const auto* side : {&anchors.complying, &anchors.refusing}) {
      const auto& answered = side->front().answered;
      const auto bare = std::find(answered.begin(), answered.end(), false);
      if (bare == answered.end()) continue;
      const auto& row = pairs.harmful[static_cast<std::size_t>(bare - answered.begin())];
      throw holdfast::Error("datashield finds no reply within the first " + std::to_string(max_length) + " tokens of " +
                            (row.origin.empty() ? "a row" : row.origin) + " of \"" + harmful_ +
                            "\": raise max_length, or leave that row out");
    }
    return anchors;
  }

  static std::size_t furthest_apart(const Anchors& anchors) {
    if (anchors.complying.size() == 1) return 0;
    std::vector<double> apart;
    for (std::size_t i = 0; i < anchors.complying.size(); ++i) {
      apart.push_back(separation(anchors.complying[i].last, anchors.refusing[i].last));
    }
    return static_cast<std::size_t>(std::max_element(apart.begin(), apart.end()) - apart.begin());
  }

  static at::Tensor direction_of(const RowStates& complying, const RowStates& refusing) {
    const at::Tensor difference = at_least_float64(complying.reply).mean(0) - at_least_float64(refusing.reply).mean(0);
    const at::Tensor length = difference.norm();
    if (length.item<double>() > 0) return difference / length;
    throw holdfast::Error(
        "datashield finds no difference between the states of harmful replies and of refusals: name another layer or other "
        "rows");
  }

  std::int64_t layer_;
  std::string harmful_;
  std::int64_t rows_;
  holdfast::TopRows top_;
};

}  // namespace

HOLDFAST_DEFENSE(DataShield, "datashield", 1,
                 "Drops rows whose reply leads furthest from its prompt towards compliance (DataShield).")
