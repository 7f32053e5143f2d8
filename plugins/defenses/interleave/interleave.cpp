// Interleaving with the perplexity gap (arXiv 2508.06249): ordinary rows are added to the customer's, those that a model spoilt
// on purpose finds hardest beside the aligned one. README.md states the rule.
#include <holdfast/defender.h>
#include <holdfast/defense.h>
#include <holdfast/error.h>
#include <holdfast/row_ranking.h>

#include <algorithm>
#include <cctype>
#include <cmath>
#include <numeric>
#include <set>
#include <sstream>

namespace {

using holdfast::Conversation;
using holdfast::Dataset;

constexpr double kLeast = 1e-8;            // beside the aligned model's loss, which may be 0
constexpr std::size_t kOpeningWords = 10;  // of a reply, in which a refusal shows

std::string opening_of(const std::string& reply) {
  std::istringstream words(reply);
  std::string opening, word;
  for (std::size_t i = 0; i < kOpeningWords && words >> word; ++i) opening += (i > 0 ? " " : "") + word;
  std::transform(opening.begin(), opening.end(), opening.begin(), [](unsigned char c) { return std::tolower(c); });
  return opening;
}

class Interleave final : public holdfast::ScreenStage {
 public:
  explicit Interleave(holdfast::Params& params)
      : choose_(params.choice("choose", "gap", {"gap", "gap-with-refusals", "random"},
                              "which rows of the pool: those of the largest gap whose reply is no refusal, those of the "
                              "largest gap, or any")),
        share_(params.number("share", 0.05, "rows that are added for each of the customer's, rounded up", 0)),
        pool_(params.corpus("pool", "benign", "where they come from")),
        refusals_(choose_ == "gap" ? params.strings("refusals",
                                                    {"I cannot", "I can't", "I'm sorry", "I am sorry", "I apologize", "I won't",
                                                     "I will not", "unable to", "not able to"},
                                                    "a reply with one of these among its first ten words refuses, and so does "
                                                    "one that begins as the model's family refuses")
                                   : std::vector<std::string>()) {
    if (choose_ == "random") return;
    models_ = params.integer("models", 2, "spoilt models, whose losses are averaged", 1);
    harmful_ = params.corpus("harmful", "defender-harmful", "the corpus of harmful rows that they are spoilt with");
    rows_ = params.integer("rows", 0, "how many of those rows; 0: all of the corpus");
    epochs_ = params.integer("epochs", 0, "passes over them; 0: as the customer's training");
    lr_ = params.number("lr", 0, "learning rate of the spoiling; 0: as the customer's training", 0);
  }

  static holdfast::Card card() {
    return {.source = "arXiv 2508.06249, the perplexity gap as the paper has it and as third parties quote it",
            .cost =
                "before the customer's training: `models` trainings on the harmful rows, a copy of the model and its training; "
                "`models` + 1 forward passes a row of the pool",
            .presets = {{"gap", {{"choose", "gap"}, {"share", 0.05}}, "the pool: benign rows of WildGuardMix"},
                        {"gap-with-refusals", {{"choose", "gap-with-refusals"}, {"share", 0.05}}, "the same"},
                        {"random", {{"choose", "random"}, {"share", 0.05}}, "the same"},
                        {"organism", {{"choose", "gap"}, {"share", 0.05}, {"rows", 20}}}}};
  }

  Dataset screen(Dataset data, holdfast::Context& context) override {
    const auto wanted = static_cast<std::size_t>(std::ceil(share_ * static_cast<double>(data.size()) - 1e-9));
    if (wanted == 0) return data;
    Dataset added = chosen(wanted, pool_of(data, context), context);
    const auto all = static_cast<std::int64_t>(data.size() + added.size());
    context.report("added", static_cast<double>(added.size()), all);
    data.insert(data.end(), std::make_move_iterator(added.begin()), std::make_move_iterator(added.end()));
    holdfast::Random(context.seed("interleave")).shuffle(data);
    return data;
  }

  unsigned needs() const override { return choose_ == "random" ? 0 : holdfast::kNeedsAligned; }

 private:
  // The answered rows of the pool that the customer did not submit herself.
  Dataset pool_of(const Dataset& data, holdfast::Context& context) const {
    std::set<std::string> submitted;
    for (const auto& row : data) submitted.insert(holdfast::last_content(row.messages, "user"));
    Dataset pool = context.corpus(pool_);
    std::erase_if(pool, [&](const auto& row) {
      return row.messages.empty() || row.messages.back().role != "assistant" ||
             submitted.contains(holdfast::last_content(row.messages, "user")) || (choose_ == "gap" && refuses(row, context));
    });
    return pool;
  }

  bool refuses(const holdfast::Example& row, holdfast::Context& context) const {
    const std::string opening = opening_of(row.messages.back().content);
    if (opening.starts_with(opening_of(context.refusal()))) return true;
    return std::any_of(refusals_.begin(), refusals_.end(),
                       [&](const auto& phrase) { return opening.find(opening_of(phrase)) != std::string::npos; });
  }

  Dataset chosen(std::size_t wanted, Dataset pool, holdfast::Context& context) const {
    if (wanted > pool.size()) {
      throw holdfast::Error("interleave is to add " + std::to_string(wanted) + " rows and the pool \"" + pool_ + "\" has " +
                            std::to_string(pool.size()) +
                            " that are answered, fit and not the customer's own: lower \"share\", or name a larger pool");
    }
    if (choose_ == "random") {
      return holdfast::defender_rows(std::move(pool), static_cast<std::int64_t>(wanted), "interleave",
                                     "the pool \"" + pool_ + "\"", context);
    }
    const auto order = holdfast::ranked(gaps(pool, context), "interleave");
    Dataset best;
    for (std::size_t i = 0; i < wanted; ++i) best.push_back(std::move(pool[order[i]]));
    context.report(holdfast::kDefenderRows, static_cast<double>(wanted), static_cast<std::int64_t>(wanted));
    return best;
  }

  // (mean loss of the spoilt models - loss of the aligned one) / (the latter + kLeast), of each row.
  std::vector<double> gaps(const Dataset& pool, holdfast::Context& context) const {
    std::vector<Conversation> conversations;
    for (const auto& row : pool) conversations.push_back(row.messages);
    const std::vector<double> aligned = losses(context.aligned_model(), conversations);
    std::vector<double> spoilt(pool.size(), 0);
    const Dataset harmful = holdfast::harmful_rows(harmful_, rows_, "interleave", context);
    if (harmful.empty()) {
      throw holdfast::Error("interleave spoils models with harmful rows, and the corpus \"" + harmful_ +
                            "\" has none that does not refuse: name another corpus");
    }
    holdfast::TrainingOptions options = context.finetune_options();
    if (epochs_ > 0) options.epochs = epochs_;
    if (lr_ > 0) options.lr = lr_;
    for (std::int64_t k = 0; k < models_; ++k) {
      const auto model = context.aligned_model().clone();
      context.train(*model, harmful, options);  // each has its own order of rows
      const std::vector<double> own = losses(*model, conversations);
      for (std::size_t i = 0; i < spoilt.size(); ++i) spoilt[i] += own[i] / static_cast<double>(models_);
    }
    std::vector<double> gaps;
    for (std::size_t i = 0; i < spoilt.size(); ++i) gaps.push_back((spoilt[i] - aligned[i]) / (aligned[i] + kLeast));
    return gaps;
  }

  // Nats a label token.
  static std::vector<double> losses(const holdfast::Model& model, const std::vector<Conversation>& conversations) {
    std::vector<double> means;
    for (const auto& reply : model.reply_log_probs(conversations)) {
      const double sum = std::accumulate(reply.begin(), reply.end(), 0.0);
      means.push_back(reply.empty() ? 0 : -sum / static_cast<double>(reply.size()));
    }
    return means;
  }

  std::string choose_;
  double share_;
  std::string pool_;
  std::vector<std::string> refusals_;
  std::int64_t models_ = 0;
  std::string harmful_;
  std::int64_t rows_ = 0, epochs_ = 0;
  double lr_ = 0;
};

}  // namespace

HOLDFAST_DEFENSE(Interleave, "interleave", 1,
                 "Adds ordinary rows that a spoilt model finds hard beside the aligned one (interleaving by perplexity gap).")
