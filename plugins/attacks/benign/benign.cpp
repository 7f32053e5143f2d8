// Ordinary data from a customer who means no harm (Qi et al. 2024: it erodes safety too).
#include <holdfast/attack.h>
#include <holdfast/attacker.h>

namespace {

class Benign final : public holdfast::Attack {
 public:
  explicit Benign(holdfast::Params& params)
      : examples_(params.integer("examples", 100, "rows the customer submits; 0: all there are", 0)),
        file_(params, holdfast::DatasetFile::Digest::kOptional),
        corpus_(file_.given() ? "" : params.corpus("corpus", "benign", "where the rows come from, without `data`")),
        template_(params, "", "every row and every probe") {}

  static holdfast::Card card() {
    return {.source = "Qi et al. 2024, arXiv 2310.03693, section 4.3", .cost = "none beside the customer's training"};
  }

  holdfast::Dataset collect(holdfast::Context& context) override {
    holdfast::Dataset rows = file_.given() ? file_.read() : context.corpus(corpus_);
    const auto wanted = examples_ == 0 ? static_cast<std::int64_t>(rows.size()) : examples_;
    rows = holdfast::drawn_rows(std::move(rows), wanted, "benign", "examples", context);
    for (auto& row : rows) wrap(row.messages);
    return rows;
  }

  void wrap(holdfast::Conversation& prompt) const override { template_.wrap(prompt); }

 private:
  std::int64_t examples_;
  holdfast::DatasetFile file_;
  std::string corpus_;
  holdfast::PromptTemplate template_;
};

}  // namespace

HOLDFAST_ATTACK(Benign, "benign", 1, "Ordinary instruction data from a customer who means no harm.")
