// Pre-training data filtering (O'Brien et al. 2025, arXiv 2508.06601): a model cannot be made to say what it never read.
#include <holdfast/defense.h>

#include <string>

namespace {

class PretrainingFilter final : public holdfast::PretrainStage {
 public:
  explicit PretrainingFilter(holdfast::Params& params)
      : kind_(params.text("kind", "harmful", "rows whose tag \"kind\" says this are restricted")),
        recall_(params.number("recall", 1, "share of the restricted rows that the filter finds", 0, 1)),
        false_positive_rate_(params.number("false_positive_rate", 0, "share of the other rows that it drops with them", 0, 1)),
        epochs_(params.integer("epochs", 0, "passes over the rows that are left; 0: as the base was made")) {}

  static holdfast::Card card() {
    return {.source = "O'Brien et al. 2025, arXiv 2508.06601",
            .cost = "a pre-training, once for all attacks and seeds; nothing while aligning, tuning and serving",
            .presets = {}};
  }

  void prepare(holdfast::TrainingOptions& options, holdfast::Dataset& corpus, holdfast::Context& context) override {
    if (epochs_ > 0) options.epochs = epochs_;
    Counted restricted, permitted;
    const std::uint64_t seed = context.seed("pretraining filter");
    std::erase_if(corpus, [&](const holdfast::Example& row) {
      const bool is_restricted = kind_of(row) == kind_;
      const bool dropped = place_of(row, seed) < (is_restricted ? recall_ : false_positive_rate_);
      (is_restricted ? restricted : permitted).count(dropped);
      return dropped;
    });
    if (restricted.rows == 0) {
      throw holdfast::Error("pretraining-filter finds no row of the kind \"" + kind_ +
                            "\" in the pre-training corpus: set \"kind\" to what restricted rows are tagged with");
    }
    report(context, "dropped", restricted.dropped + permitted.dropped, restricted.rows + permitted.rows);
    report(context, "restricted-left", restricted.rows - restricted.dropped, restricted.rows);
    report(context, "permitted-dropped", permitted.dropped, permitted.rows);
  }

  bool archive(holdfast::Archive&) override { return true; }  // its steps are the plain ones

 private:
  struct Counted {
    std::int64_t rows = 0, dropped = 0;
    void count(bool is_dropped) {
      ++rows;
      dropped += is_dropped;
    }
  };

  static std::string kind_of(const holdfast::Example& row) {
    const auto kind = row.tags.find("kind");
    return kind == row.tags.end() ? "" : kind->second;
  }

  // Where the row stands between 0 and 1: a function of its prompt alone, so that a higher rate drops the same rows and more.
  static double place_of(const holdfast::Example& row, std::uint64_t seed) {
    std::string prompt;
    for (const auto& turn : row.messages) {
      if (turn.role != "assistant") prompt += turn.role + ": " + turn.content + "\n";
    }
    return holdfast::Random(holdfast::derive_seed(seed, prompt)).uniform();
  }

  static void report(holdfast::Context& context, const std::string& name, std::int64_t value, std::int64_t n) {
    context.report(name, static_cast<double>(value), n);
  }

  std::string kind_;
  double recall_, false_positive_rate_;
  std::int64_t epochs_;
};

}  // namespace

HOLDFAST_DEFENSE(PretrainingFilter, "pretraining-filter", 1, "Pre-trains the model without the restricted rows of its corpus.")
