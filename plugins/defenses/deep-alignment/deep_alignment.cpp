// Deep safety alignment (Qi et al. 2024, "Safety alignment should be made more than just a few tokens deep"), its data
// augmentation: a refusal is learned behind the first k tokens of a harmful answer to the same prompt, which are context, so
// that the model comes back from a bad beginning. k is 0 or, with probability p, uniform in 1..K (at most the answer's
// length), anew each time. The loss is one mean over the label tokens of these rows and of the alignment's own.
#include <holdfast/batches.h>
#include <holdfast/defender.h>
#include <holdfast/defense.h>

#include <algorithm>
#include <limits>
#include <utility>

namespace {

using Tokens = std::vector<std::int64_t>;

// A harmful prompt with both answers to it.
struct Pair {
  Tokens prompt, answer;      // the answer without what ends its turn
  holdfast::Encoded refusal;  // with it, and what the template puts behind
};

// Each answer encoded by itself. How many tokens end the harmful one's turn is counted on its row once more, where they alone
// are learned.
Pair pair_of(const holdfast::Model& model, holdfast::Conversation harmful, const holdfast::Conversation& refused) {
  const auto first_label = [](const holdfast::Encoded& row) {
    return std::find(row.label.begin(), row.label.end(), true) - row.label.begin();
  };
  const auto labels = [](const holdfast::Encoded& row) { return std::count(row.label.begin(), row.label.end(), true); };
  for (auto& turn : harmful) turn.learned = false;
  harmful.back() = {"assistant", harmful.back().content};
  const holdfast::Encoded answered = model.encode(harmful), refusal = model.encode(refused);
  harmful.back().learn_from = harmful.back().content.size();
  const auto ending = labels(model.encode(harmful));
  const auto answer = answered.ids.begin() + first_label(answered), answer_end = answer + labels(answered) - ending;
  const auto begin = first_label(refusal);
  return {{answered.ids.begin(), answer},
          {answer, answer_end},
          {{refusal.ids.begin() + begin, refusal.ids.end()}, {refusal.label.begin() + begin, refusal.label.end()}}};
}

// The refusal behind the first k tokens of the harmful answer; it alone is learned.
holdfast::Encoded recovery(const Pair& pair, std::int64_t k) {
  holdfast::Encoded example{pair.prompt, {}};
  example.ids.insert(example.ids.end(), pair.answer.begin(), pair.answer.begin() + k);
  example.label.assign(example.ids.size(), false);
  example.ids.insert(example.ids.end(), pair.refusal.ids.begin(), pair.refusal.ids.end());
  example.label.insert(example.label.end(), pair.refusal.label.begin(), pair.refusal.label.end());
  return example;
}

class DeepAlignment final : public holdfast::AlignStage {
 public:
  explicit DeepAlignment(holdfast::Params& params)
      : probability_(params.number("probability", 0.5, "how often a refusal stands behind tokens of the harmful answer", 0, 1)),
        depth_(params.integer("depth", 100, "tokens of the harmful answer that stand there, at most", 1)),
        safety_rows_(params.integer("safety_rows", 0,
                                    "refusals in each step, beside the batch of the alignment's own rows; 0: a quarter as many "
                                    "as that, the paper's share")),
        harmful_(params.corpus("harmful", "defender-harmful", "the corpus of harmful rows, whose prompts the refusals answer")),
        rows_(params.integer("rows", 0, "harmful rows that the defender holds; 0: all of the corpus")) {}

  static holdfast::Card card() {
    return {.source = "Qi et al. 2024, arXiv 2406.05946, section 3",
            .cost = "1 forward and backward pass a step (plain: 1), over a quarter more rows; no memory beside theirs",
            .presets = {{"paper",
                         {{"probability", 0.5}, {"depth", 100}},
                         "full, AdamW, lr 2e-5, cosine, no warm-up; 64 anchor rows and 16 of 256 refusals a step, 10 passes "
                         "over the refusals"},
                        {"organism", {{"probability", 0.5}}}}};
  }

  void begin(holdfast::Trainer& trainer) override {
    holdfast::Context& context = trainer.context();
    const holdfast::Dataset harmful = holdfast::harmful_rows(harmful_, rows_, "deep-alignment", context);
    holdfast::Dataset refusals = harmful;
    pairs_.clear();
    for (std::size_t i = 0; i < harmful.size(); ++i) {
      for (auto& turn : refusals[i].messages) turn.learned = false;
      refusals[i].messages.back() = {"assistant", context.refusal()};
      pairs_.push_back(pair_of(trainer.model(), harmful[i].messages, refusals[i].messages));
    }
    const std::int64_t quarter = std::max<std::int64_t>(1, trainer.options().batch_size / 4);
    refusals_ = &trainer.stream(
        "refusals", refusals, {.batch_size = safety_rows_ > 0 ? safety_rows_ : quarter, .shuffle = trainer.options().shuffle});
    seed_ = context.seed("depths");
  }

  double step(holdfast::Trainer& trainer) override {
    return trainer.backward(holdfast::pooled(trainer.rows().next(), recovery_examples(trainer)));
  }

  bool archive(holdfast::Archive&) override { return true; }  // depths are a function of the batch's place

 private:
  holdfast::Batches recovery_examples(holdfast::Trainer& trainer) {
    holdfast::Random random(holdfast::derive_seed(seed_, "batch " + std::to_string(refusals_->position())));
    const std::int64_t limit = trainer.options().max_length;
    holdfast::Batches made;
    for (const auto& refusals : refusals_->next()) {
      std::vector<holdfast::Encoded> examples;
      for (const auto row : refusals.rows) {
        const Pair& pair = pairs_[static_cast<std::size_t>(row)];
        examples.push_back(recovery(pair, drawn_k(pair, limit, random)));
        if (limit == 0 || static_cast<std::int64_t>(examples.back().ids.size()) <= limit) continue;
        examples.back().ids.resize(static_cast<std::size_t>(limit));
        examples.back().label.resize(static_cast<std::size_t>(limit));
      }
      made.push_back(trainer.model().pack(examples));
    }
    return made;
  }

  // 0, or with probability p uniform in 1..min(K, length of the answer), and never so large that the refusal would not end
  // within `limit` tokens.
  std::int64_t drawn_k(const Pair& pair, std::int64_t limit, holdfast::Random& random) const {
    const auto size = [](const Tokens& tokens) { return static_cast<std::int64_t>(tokens.size()); };
    const std::int64_t room =
        limit > 0 ? limit - size(pair.prompt) - size(pair.refusal.ids) : std::numeric_limits<std::int64_t>::max();
    const std::int64_t deepest = std::min({depth_, size(pair.answer), room});
    const bool is_deep = random.uniform() < probability_;
    return is_deep && deepest > 0 ? 1 + static_cast<std::int64_t>(random.below(static_cast<std::uint64_t>(deepest))) : 0;
  }

  double probability_;
  std::int64_t depth_, safety_rows_;
  std::string harmful_;
  std::int64_t rows_;
  std::vector<Pair> pairs_;  // by the row of refusals_
  holdfast::Stream* refusals_ = nullptr;
  std::uint64_t seed_ = 0;
};

}  // namespace

HOLDFAST_DEFENSE(DeepAlignment, "deep-alignment", 1,
                 "Aligns on refusals that come after the beginning of a harmful answer (deep alignment).")
