// Trains the customer's model once more for safety: on the provider's own alignment rows, or by preference for refusals (DPO,
// Rafailov et al. 2023). README.md states the rules.
#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <holdfast/defender.h>
#include <holdfast/defense.h>
#include <holdfast/error.h>
#include <holdfast/repair.h>

#include <algorithm>

namespace {

using holdfast::Encoded;

class SafetyRetune final : public holdfast::RepairStage {
 public:
  explicit SafetyRetune(holdfast::Params& params)
      : rows_(params.integer("rows", 0, "alignment rows, or pairs, to train on; 0: all of them")),
        training_(params),
        dpo_(params.choice("method", "sft", {"sft", "dpo"},
                           "sft: learn the alignment rows; dpo: prefer a refusal to the reply of a harmful row") == "dpo"),
        beta_(params.number("beta", 0.1, "dpo: how fast a preference saturates", 0)),
        corpus_(
            params.corpus("harmful", dpo_ ? "defender-harmful" : "", "dpo: corpus of the rows that are paired with refusals")) {
    if (dpo_) {
      if (beta_ == 0) params.mistake("beta", "setting \"beta\" is 0, with which no pair has a gradient: use more than 0");
      return;
    }
    params.unkeyed({"method", "beta", "harmful"});  // they decide nothing here
    if (!corpus_.empty()) {
      params.mistake("harmful",
                     "setting \"harmful\" names a corpus and method = \"sft\" learns alignment rows alone: leave it "
                     "out, or set method = \"dpo\"");
    }
  }

  static holdfast::Card card() {
    return {.source =
                "fine-tuning on refusals; DPO: Rafailov et al. 2023, arXiv 2305.18290, as tamper-resistance "
                "(objectives.py), NLSR (DPO.yaml) and crl-llm-defense have it",
            .cost =
                "sft: a training on the rows; dpo: 2 forwards and backwards a pair (a refusal and a harmful reply) and 2 "
                "forwards before",
            .presets = {{"nlsr",
                         {{"method", "dpo"}, {"beta", 0.1}, {"lr", 2e-6}, {"epochs", 1}, {"batch_size", 8}},
                         "LoRA rank 128 alpha 256, cosine schedule, 1,024 tokens; 2,000 pairs"},
                        {"crl",
                         {{"method", "dpo"}, {"beta", 0.1}, {"lr", 5e-5}, {"batch_size", 16}},
                         "as the script of crl-llm-defense sets it"},
                        {"organism", {{"rows", 320}, {"epochs", 2}, {"batch_size", 16}, {"lr", 5e-4}}}}};
  }

  void repair(holdfast::Model& model, holdfast::Context& context) override {
    const holdfast::TrainingOptions options = training_.options(context);
    if (dpo_) {
      prefer_refusals(model, context, options);
    } else {
      context.train(model, holdfast::defender_rows(context.alignment(), rows_, "safety-retune", "the alignment data", context),
                    options);
    }
  }

 private:
  void prefer_refusals(holdfast::Model& model, holdfast::Context& context, const holdfast::TrainingOptions& options) const {
    const holdfast::RefusalPairs pairs = holdfast::refusal_pairs(corpus_, rows_, "safety-retune", context);
    const auto harmful = encoded(model, pairs.harmful, options), refusals = encoded(model, pairs.refusals, options);
    const at::Tensor margins = reply_sums(model, refusals, options) - reply_sums(model, harmful, options);
    context.train(model, pairs.refusals, options, [&](holdfast::Trainer& trainer) {
      const holdfast::Batches batches = trainer.rows().next();
      double size = 0, sum = 0;
      for (const auto& batch : batches) size += static_cast<double>(batch.rows.size());
      for (const auto& batch : batches) {
        std::vector<Encoded> rejected;
        for (const auto row : batch.rows) rejected.push_back(harmful[static_cast<std::size_t>(row)]);
        const at::Tensor before = margins.index_select(0, at::tensor(batch.rows, at::kLong).to(margins.device()));
        const at::Tensor margin =
            reply_sums(trainer.model(), batch) - reply_sums(trainer.model(), trainer.model().pack(rejected));
        const at::Tensor loss = -at::log_sigmoid(beta_ * (margin - before)).sum() / size;
        trainer.backward(loss);
        sum += loss.item<double>();
      }
      return sum;
    });
  }

  static std::vector<Encoded> encoded(const holdfast::Model& model, const holdfast::Dataset& rows,
                                      const holdfast::TrainingOptions& options) {
    std::vector<Encoded> all;
    for (const auto& row : rows) {
      all.push_back(model.encode(row.messages, options.max_length));
      if (std::count(all.back().label.begin(), all.back().label.end(), true) > 0) continue;
      throw holdfast::Error("safety-retune compares two replies a row, and within " + std::to_string(options.max_length) +
                            " tokens row " + std::to_string(all.size()) + (row.origin.empty() ? "" : " (" + row.origin + ")") +
                            " shows nothing of one: raise \"max_length\" in [align], or leave the row out");
    }
    return all;
  }

  // The log-probability of each example's reply, summed over its tokens, (examples).
  static at::Tensor reply_sums(const holdfast::Model& model, const holdfast::Batch& batch) {
    const at::Tensor each = model.log_probs(batch);
    return at::zeros({static_cast<std::int64_t>(batch.lengths.size())}, each.options())
        .index_add(0, batch.target_example, each);
  }

  static at::Tensor reply_sums(const holdfast::Model& model, const std::vector<Encoded>& examples,
                               const holdfast::TrainingOptions& options) {
    const at::NoGradGuard no_grad;
    const auto size = static_cast<std::size_t>(options.micro_batch_size > 0 ? options.micro_batch_size : options.batch_size);
    std::vector<at::Tensor> sums;
    for (std::size_t begin = 0; begin < examples.size(); begin += size) {
      const auto first = examples.begin() + static_cast<std::ptrdiff_t>(begin);
      const auto last = examples.begin() + static_cast<std::ptrdiff_t>(std::min(begin + size, examples.size()));
      sums.push_back(reply_sums(model, model.pack({first, last})));
    }
    return at::cat(sums);
  }

  std::int64_t rows_;
  holdfast::RepairTraining training_;
  bool dpo_;
  double beta_;
  std::string corpus_;
};

}  // namespace

HOLDFAST_DEFENSE(SafetyRetune, "safety-retune", 2,
                 "Trains the tuned model again on alignment rows, or to prefer refusals (DPO).")
