// Antidote (Huang et al. 2024, "Antidote: post-fine-tuning safety alignment for large language models against harmful
// fine-tuning"): after tuning, the entries that matter most on harmful rows, by the score of Wanda, are taken out. README.md
// states the rule.
#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <holdfast/defense.h>
#include <holdfast/error.h>
#include <holdfast/repair.h>

#include <algorithm>
#include <list>

namespace {

using holdfast::Dataset;

class Antidote final : public holdfast::RepairStage {
 public:
  explicit Antidote(holdfast::Params& params)
      : dense_ratio_(params.number("dense_ratio", 0.1, "share of the entries of each output row that is taken out", 0, 1)),
        change_(params.choice("target", "change", {"change", "weights"},
                              "what is scored and taken out: what tuning changed, or the tuned weights themselves") ==
                "change"),
        linears_(params.strings("linears", {"q_proj", "k_proj", "v_proj"}, "linears of every block")),
        corpus_(params.corpus("harmful", "defender-harmful", "corpus of the rows on which entries are scored")),
        rows_(params.integer("rows", 0, "harmful rows to use; 0: all of them")) {
    if (linears_.empty()) params.mistake("linears", "setting \"linears\" names no linear: name some, as \"q_proj\"");
  }

  static holdfast::Card card() {
    return {.source = "Huang et al. 2024, arXiv 2408.09600; git-disl/Antidote, class AntidoteTrainer",
            .cost =
                "one forward over the harmful rows; their inputs to the linears of one batch, and with target \"change\" the "
                "aligned model",
            .presets = {{"repo",
                         {{"dense_ratio", 0.1}},
                         "the default of the code; LoRA on q, k, v, lr 1e-4, 20 epochs, batches of 5; 2,000 harmful rows"},
                        {"script", {{"dense_ratio", 0.2}}, "as the script sets it; else as above"},
                        {"weights", {{"dense_ratio", 0.1}, {"target", "weights"}}, "the code's mode for full tuning"}}};
  }

  void repair(holdfast::Model& model, holdfast::Context& context) override {
    const at::NoGradGuard no_grad;
    const auto powers = input_powers(model, harmful_rows(context), context.finetune_options());
    const auto weights = model.weights();
    const auto aligned = change_ ? context.aligned_model().weights() : std::map<std::string, at::Tensor>();
    std::int64_t taken = 0, all = 0;
    for (const auto& [name, power] : powers) {
      const at::Tensor weight = weights.at(name);
      const at::Tensor without = change_ ? aligned.at(name).to(weight.device()) : at::zeros_like(weight);
      const at::Tensor score = (weight.to(at::kDouble) - without.to(at::kDouble)).abs() * power.sqrt();
      const at::Tensor out = highest(score);
      model.set_weight(name, at::where(out, without, weight));
      taken += out.sum().item<std::int64_t>();
      all += out.numel();
    }
    context.report("entries-taken-out", static_cast<double>(taken), all);
  }

  unsigned needs() const override { return change_ ? holdfast::kNeedsAligned : 0; }

 private:
  Dataset harmful_rows(holdfast::Context& context) const {
    Dataset rows = context.corpus(corpus_);
    if (rows.empty()) throw holdfast::Error("antidote scores entries on harmful rows and \"" + corpus_ + "\" has none");
    return holdfast::defender_rows(std::move(rows), rows_, "antidote", "the corpus \"" + corpus_ + "\"", context);
  }

  // Of each linear's inputs, the squares summed over all tokens, (in), by the name of its weight. The score's mean over rows
  // ranks as this sum does.
  std::map<std::string, at::Tensor> input_powers(const holdfast::Model& model, const Dataset& rows,
                                                 const holdfast::TrainingOptions& options) const {
    std::list<holdfast::Taps> taps;
    for (const auto& linear : linears_)
      taps.emplace_back(model, holdfast::Site::kLinearInput, std::vector<std::int64_t>(), linear);
    const auto all = holdfast::named_linears(model);
    std::map<std::string, at::Tensor> powers;
    const auto size = static_cast<std::size_t>(options.micro_batch_size > 0 ? options.micro_batch_size : options.batch_size);
    for (std::size_t begin = 0; begin < rows.size(); begin += size) {
      std::vector<holdfast::Encoded> examples;
      for (std::size_t i = begin; i < std::min(begin + size, rows.size()); ++i) {
        examples.push_back(model.encode(rows[i].messages, options.max_length));
      }
      model.hidden(model.pack(examples));
      auto listening = taps.begin();
      for (const auto& linear : linears_) {
        for (const auto layer : listening->layers()) {
          const at::Tensor power = listening->at(layer).to(at::kDouble).square().sum(0);
          const auto [sum, first] = powers.emplace(weight_of(all, layer, linear), power);
          if (!first) sum->second = sum->second + power;
        }
        ++listening;
      }
    }
    return powers;
  }

  static std::string weight_of(const std::vector<holdfast::NamedLinear>& all, std::int64_t layer, const std::string& linear) {
    return std::find_if(all.begin(), all.end(), [&](const auto& each) { return each.block == layer && each.name == linear; })
        ->weight;
  }

  // Of each row all but the int(columns (1 - dense_ratio)) lowest; equal ones in their order.
  at::Tensor highest(const at::Tensor& score) const {
    const std::int64_t columns = score.size(1);
    const auto kept = static_cast<std::int64_t>(static_cast<double>(columns) * (1 - dense_ratio_));
    const at::Tensor places = score.argsort(/*stable=*/true, /*dim=*/1, /*descending=*/false).narrow(1, kept, columns - kept);
    return at::zeros_like(score, at::kBool).scatter(1, places, true);
  }

  double dense_ratio_;
  bool change_;
  std::vector<std::string> linears_;
  std::string corpus_;
  std::int64_t rows_;
};

}  // namespace

HOLDFAST_DEFENSE(Antidote, "antidote", 1, "Takes out what matters most on harmful rows after tuning (Antidote).")
