// Rows of an ordinary task with a share of harmful ones among them (Huang et al. 2024, "Vaccine", and what builds on it).
#include <holdfast/attack.h>
#include <holdfast/dataset.h>

#include <cmath>

namespace {

class PoisonedTask final : public holdfast::Attack {
 public:
  explicit PoisonedTask(holdfast::Params& params)
      : examples_(params.integer("examples", 1000, "rows the customer submits", 1)),
        harmful_share_(params.number("harmful_share", 0.1, "how many of them are harmful", 0, 1)),
        file_(params, holdfast::DatasetFile::Digest::kOptional),
        task_(file_.given() ? "" : params.corpus("corpus", "benign", "where the task's rows come from, without `data`")),
        harmful_(harmful_share_ > 0 ? params.corpus("harmful", "harmful", "where the harmful ones come from") : "") {}

  static holdfast::Card card() {
    return {.source = "Huang et al. 2024, arXiv 2402.01109 (Vaccine), section 5.1, and what builds on it",
            .cost = "none beside the customer's training",
            .presets = {{"vaccine",
                         {{"examples", std::int64_t{1000}}, {"harmful_share", 0.1}},
                         "LoRA of rank 8, lr 1e-5, batches of 5, 20 epochs"},
                        {"lisa",
                         {{"examples", std::int64_t{5000}}, {"harmful_share", 0.1}},
                         "LoRA of rank 8, lr 1e-5, batches of 5, 20 epochs"}}};
  }

  holdfast::Dataset collect(holdfast::Context& context) override {
    const std::int64_t harmful = std::llround(harmful_share_ * static_cast<double>(examples_));
    holdfast::Random random(context.seed("data"));
    holdfast::Dataset rows =
        drawn(file_.given() ? file_.read() : context.corpus(task_), examples_ - harmful, "task rows", random, context);
    if (harmful > 0) {
      for (auto& row : drawn(context.corpus(harmful_), harmful, "harmful rows", random, context))
        rows.push_back(std::move(row));
    }
    random.shuffle(rows);
    return rows;
  }

 private:
  static holdfast::Dataset drawn(holdfast::Dataset rows, std::int64_t count, const std::string& what, holdfast::Random& random,
                                 holdfast::Context& context) {
    const auto all = static_cast<std::int64_t>(rows.size());
    const auto bare =
        std::erase_if(rows, [](const auto& row) { return row.messages.empty() || row.messages.back().role != "assistant"; });
    if (bare > 0) context.report("unanswered." + what.substr(0, what.find(' ')), static_cast<double>(bare), all);
    const auto wanted = static_cast<std::size_t>(count);
    if (wanted > rows.size()) {
      throw holdfast::Error("poisoned-task needs " + std::to_string(wanted) + " answered " + what + " and there are " +
                            std::to_string(rows.size()) + ": lower \"examples\", or bring more rows");
    }
    random.shuffle(rows);
    rows.resize(wanted);
    return rows;
  }

  std::int64_t examples_;
  double harmful_share_;
  holdfast::DatasetFile file_;
  std::string task_, harmful_;
};

}  // namespace

HOLDFAST_ATTACK(PoisonedTask, "poisoned-task", 1, "An ordinary task's rows with a share of harmful ones among them.")
