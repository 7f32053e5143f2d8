// Safe Delta (Lu et al. 2025, "Safe Delta: consistently preserving safety when fine-tuning LLMs on diverse datasets"): of what
// tuning changed, entries are taken as long as the safety that they cost stays within a budget; what they do to the outputs on
// safety rows is made up for by the entries behind them. README.md states the rule.
#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <holdfast/defender.h>
#include <holdfast/defense.h>
#include <holdfast/error.h>
#include <holdfast/repair.h>

#include <algorithm>
#include <list>

namespace {

using holdfast::NamedWeights;

class SafeDelta final : public holdfast::RepairStage {
 public:
  explicit SafeDelta(holdfast::Params& params)
      : s_(params.number("s", 0.1, "budget of safety that entries of the change may cost; 0: none is taken", 0)),
        s_divisor_(params.number("s_divisor", 2, "what s is divided by", 1e-300)),
        width_(params.number("width", 4096, "outputs of a linear for which the budget is meant", 1e-300)),
        dropped_(params.number("dropped", 0.15, "share of the entries that are never taken, those that cost most", 0, 1)),
        damping_(params.number("damping", 0.01, "share of the mean diagonal that is added to the diagonal", 0)),
        block_(params.integer("block", 2048, "columns that share a budget", 1)),
        sub_block_(params.integer("sub_block", 4, "columns that are written together", 1)),
        own_replies_(params.choice("replies", "own", {"own", "rows"},
                                   "what answers the safety rows: the aligned model, or the rows' own replies") == "own"),
        max_new_tokens_(params.integer("max_new_tokens", 64, "length of replies of the aligned model's own", 1)),
        rows_(params, "safe-delta") {}

  static holdfast::Card card() {
    return {.source = "Lu et al. 2025, ICML, arXiv 2505.12038; ColinLu50/SafeDelta, safedelta_runner.py, adjust_delta",
            .cost =
                "forwards over the safety rows, each as far as one more block: (layers + 1) / 2 whole ones; the aligned model "
                "twice, for each linear of a block a square matrix of its inputs and one decomposition of it",
            .presets = {{"repo", {{"s", 0.1}, {"rows", 128}}, "the default of the code"},
                        {"harmful", {{"s", 0.11}, {"rows", 128}}, "as the code's script for harmful rows sets it"},
                        {"organism", {{"s", 0.1}, {"rows", 128}}}}};
  }

  void repair(holdfast::Model& model, holdfast::Context& context) override {
    const at::NoGradGuard no_grad;
    const NamedWeights tuned = model.weights();
    const auto edited = context.aligned_model().clone();
    const auto batches = safety_batches(*edited, context);
    std::vector<std::vector<holdfast::NamedLinear>> blocks(static_cast<std::size_t>(model.layers()));
    for (auto& linear : holdfast::named_linears(model)) {
      blocks[static_cast<std::size_t>(linear.block)].push_back(std::move(linear));
    }
    std::int64_t taken = 0, all = 0;
    for (const auto& linears : blocks) {
      const auto inputs = input_squares(*edited, linears, batches);
      const NamedWeights aligned = edited->weights();
      for (std::size_t i = 0; i < linears.size(); ++i) {
        const std::string& name = linears[i].weight;
        const auto wide = inputs[i].scalar_type();
        const at::Tensor before = aligned.at(name).to(wide), after = tuned.at(name).to(before.device(), wide);
        edited->set_weight(name, adjusted(before, after, inputs[i], taken));
        all += before.numel();
      }
    }
    for (const auto& [name, weight] : edited->weights()) model.set_weight(name, weight);
    context.report("entries-taken", static_cast<double>(taken), all);
  }

  unsigned needs() const override { return holdfast::kNeedsAligned; }

 private:
  // The safety rows as the tuning's forwards would see them.
  std::vector<holdfast::Batch> safety_batches(const holdfast::Model& aligned, holdfast::Context& context) const {
    holdfast::Dataset rows = rows_.draw(context);
    const holdfast::TrainingOptions& options = context.finetune_options();
    const auto size = static_cast<std::size_t>(options.micro_batch_size > 0 ? options.micro_batch_size : options.batch_size);
    if (own_replies_) answer(rows, aligned, size);
    std::vector<holdfast::Batch> batches;
    for (std::size_t begin = 0; begin < rows.size(); begin += size) {
      std::vector<holdfast::Encoded> examples;
      for (std::size_t i = begin; i < std::min(begin + size, rows.size()); ++i) {
        examples.push_back(aligned.encode(rows[i].messages, options.max_length));
      }
      batches.push_back(aligned.pack(examples));
    }
    return batches;
  }

  void answer(holdfast::Dataset& rows, const holdfast::Model& aligned, std::size_t size) const {
    std::vector<holdfast::Conversation> prompts;
    for (const auto& row : rows) {
      prompts.push_back(row.messages);
      if (prompts.back().back().role == "assistant") prompts.back().pop_back();
    }
    holdfast::GenerateOptions options;
    options.max_new_tokens = max_new_tokens_;
    options.batch_size = static_cast<std::int64_t>(size);
    const auto replies = aligned.generate(prompts, options);
    for (std::size_t i = 0; i < rows.size(); ++i) {
      rows[i].messages = prompts[i];
      rows[i].messages.push_back({"assistant", replies[i].text});
    }
  }

  // For each of a block's linears 2 / N times the sum of x x^T over the tokens of all N rows, (in, in).
  static std::vector<at::Tensor> input_squares(const holdfast::Model& model, const std::vector<holdfast::NamedLinear>& linears,
                                               const std::vector<holdfast::Batch>& batches) {
    const std::int64_t block = linears.front().block;
    std::list<holdfast::Taps> taps;
    for (const auto& linear : linears) {
      taps.emplace_back(model, holdfast::Site::kLinearInput, std::vector<std::int64_t>{block}, linear.name);
    }
    std::vector<at::Tensor> squares(linears.size());
    double rows = 0;
    for (const auto& batch : batches) {
      model.states(batch, {block + 1});
      rows += static_cast<double>(batch.lengths.size());
      auto tap = taps.begin();
      for (auto& square : squares) {
        const at::Tensor& seen = (tap++)->at(block);
        const at::Tensor x = seen.to(at::promote_types(seen.scalar_type(), at::kFloat));
        square = square.defined() ? square.addmm_(x.t(), x) : x.t().matmul(x);
      }
    }
    for (auto& square : squares) square.mul_(2 / rows);
    return squares;
  }

  // The linear's new values; counts the entries taken.
  at::Tensor adjusted(const at::Tensor& aligned, const at::Tensor& tuned, const at::Tensor& squares,
                      std::int64_t& count) const {
    const at::Tensor u = upper_factor(squares);
    at::Tensor weight = aligned.clone();
    const std::int64_t columns = weight.size(1);
    for (std::int64_t begin = 0; begin < columns; begin += block_) {
      const std::int64_t size = std::min(block_, columns - begin), behind = columns - begin - size;
      const at::Tensor rows_of_u = u.narrow(0, begin, size);
      at::Tensor part = weight.narrow(1, begin, size);
      const at::Tensor wanted = tuned.narrow(1, begin, size), own = rows_of_u.narrow(1, begin, size);
      const at::Tensor taken = within_budget(part, wanted, own.diagonal());
      const at::Tensor errors = write(part, wanted, taken, own);
      if (behind > 0) weight.narrow(1, begin + size, behind).sub_(errors.matmul(rows_of_u.narrow(1, begin + size, behind)));
      count += taken.sum().item<std::int64_t>();
    }
    return weight;
  }

  // U of H^-1 = U^T U, with H the squares, damped.
  at::Tensor upper_factor(const at::Tensor& squares) const {
    at::Tensor h = squares.clone();
    at::Tensor diagonal = h.diagonal();
    diagonal.masked_fill_(diagonal == 0, 1);
    diagonal.add_(diagonal.mean() * damping_);
    const auto [lower, failed] = at::linalg_cholesky_ex(h);
    if (failed.item<int>() == 0) {
      const auto [upper, failed_too] = at::linalg_cholesky_ex(at::cholesky_inverse(lower), /*upper=*/true);
      if (failed_too.item<int>() == 0) return upper;
    }
    throw holdfast::Error(
        "safe-delta cannot invert what the safety rows show at a linear's input: raise \"damping\", or take more rows");
  }

  // By column, cheapest first, the longest run of entries whose losses add up to no more than the budget.
  at::Tensor within_budget(const at::Tensor& aligned, const at::Tensor& tuned, const at::Tensor& d) const {
    const at::Tensor key = d.square().reciprocal();
    const at::Tensor loss = ((tuned - aligned).square() * key).flatten();
    const std::int64_t n = loss.numel(), considered = n - static_cast<std::int64_t>(dropped_ * static_cast<double>(n));
    const at::Tensor order =
        key.expand_as(aligned).flatten().argsort(/*stable=*/true, /*dim=*/0, /*descending=*/false).narrow(0, 0, considered);
    const double budget = key.mean().item<double>() * (s_ / s_divisor_) * (static_cast<double>(aligned.size(0)) / width_);
    const at::Tensor within = loss.index_select(0, order).cumsum(0, at::kDouble) <= budget;
    return at::zeros_like(loss, at::kBool).scatter(0, order, within).reshape(aligned.sizes());
  }

  // Gives `part` the wanted values where they are taken; each sub-block's errors are made up for in the columns of the part
  // behind it. Returns the errors.
  at::Tensor write(at::Tensor part, const at::Tensor& wanted, const at::Tensor& taken, const at::Tensor& u) const {
    const std::int64_t columns = part.size(1);
    const at::Tensor errors = at::zeros_like(part), d = u.diagonal();
    for (std::int64_t begin = 0; begin < columns; begin += sub_block_) {
      const std::int64_t size = std::min(sub_block_, columns - begin), behind = columns - begin - size;
      at::Tensor now = part.narrow(1, begin, size), error = errors.narrow(1, begin, size);
      const at::Tensor written = at::where(taken.narrow(1, begin, size), wanted.narrow(1, begin, size), now);
      error.copy_((now - written) / d.narrow(0, begin, size));
      now.copy_(written);
      if (behind > 0) {
        part.narrow(1, begin + size, behind).sub_(error.matmul(u.narrow(0, begin, size).narrow(1, begin + size, behind)));
      }
    }
    return errors;
  }

  double s_, s_divisor_, width_, dropped_, damping_;
  std::int64_t block_, sub_block_;
  bool own_replies_;
  std::int64_t max_new_tokens_;
  holdfast::SafetyRows rows_;
};

}  // namespace

HOLDFAST_DEFENSE(SafeDelta, "safe-delta", 1, "Takes of the tuning's change what costs little safety (Safe Delta).")
