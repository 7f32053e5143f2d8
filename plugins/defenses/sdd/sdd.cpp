// SDD (Chen et al. 2025, "SDD: self-degraded defense against malicious fine-tuning"): align so that harmful prompts get good
// answers to something else. Whoever then fine-tunes on harmful answers has to unlearn good ones, and with them the model's
// abilities. An answer is drawn anew until its embedding is unlike the prompt's.
#include <ATen/ATen.h>
#include <holdfast/batches.h>
#include <holdfast/defender.h>
#include <holdfast/defense.h>

namespace {

// Directions of texts, (texts, C): cosines are their products. Centered: of what tells texts of a kind apart, for hidden states
// of a language model have most of their length in common, and prompts differ from answers in one and the same way.
at::Tensor directions(const holdfast::Model& model, const std::vector<std::string>& texts, bool centered) {
  std::vector<holdfast::Conversation> turns;
  for (const auto& text : texts) turns.push_back({{"user", text}});
  at::Tensor embeddings = model.mean_hidden(turns).to(at::kCPU, at::kDouble);
  if (centered) embeddings = embeddings - embeddings.mean(0, /*keepdim=*/true);
  return embeddings / embeddings.norm(2, {1}, /*keepdim=*/true).clamp_min(1e-12);
}

class Sdd final : public holdfast::AlignStage {
 public:
  explicit Sdd(holdfast::Params& params)
      : threshold_(params.number("threshold", 0.25,
                                 "cosine similarity of prompt and answer above which another answer is drawn", -1, 1)),
        draws_(params.integer("draws", 50, "answers drawn for a prompt at most, the least similar of which then stands", 1)),
        centered_(params.flag("centered", true, "compare embeddings less the mean of all prompts, or of all answers")),
        sentence_(params.text("sentence", "", "what every answer begins with (SDD_reject)")),
        own_(params.choice("own_rows", "general", {"general", "all", "none"},
                           "the alignment's rows that are learned too: those of kind \"benign\", all, or none as published")),
        harmful_(params.corpus("harmful", "defender-harmful", "corpus of the harmful rows, whose prompts are used")),
        rows_(params.integer("rows", 0, "harmful rows that the defender holds; 0: all of the corpus")) {}

  static holdfast::Card card() {
    const std::string training = "full, lr 5e-7 constant, 500 steps, batches of 24 of 8,000 pairs, length 512";
    return {.source = "Chen et al. 2025, arXiv 2507.21182; constants as in TamperBench's port",
            .cost =
                "1 forward and backward pass a step (plain: 1), over twice the rows; before the first step one forward over "
                "all prompts and answers",
            .presets = {{"paper", {{"threshold", 0.25}, {"draws", 50}, {"own_rows", "none"}, {"sentence", ""}}, training},
                        {"reject",
                         {{"threshold", 0.25},
                          {"draws", 50},
                          {"own_rows", "none"},
                          {"sentence",
                           "I refuse to answer your question for responsible and ethical reasons. I provided an irrational "
                           "answer to your question.\n\n"}},
                         training}}};
  }

  void prepare(holdfast::TrainingOptions&, holdfast::Dataset& data, holdfast::Context&) override {
    if (own_ == "general") data = holdfast::general_rows(data, "sdd");
  }

  void begin(holdfast::Trainer& trainer) override {
    pairs_ =
        &trainer.stream("pairs", irrelevant_pairs(trainer.model(), trainer.context()), {.shuffle = trainer.options().shuffle});
  }

  double step(holdfast::Trainer& trainer) override {
    if (own_ == "none") return trainer.backward(pairs_->next());
    return trainer.backward(holdfast::pooled(trainer.rows().next(), pairs_->next()));
  }

  bool archive(holdfast::Archive&) override { return true; }  // begin() makes the same pairs again
  bool draws_itself() const override { return own_ == "none"; }

 private:
  // Each harmful prompt with its answer, which alone is learned.
  holdfast::Dataset irrelevant_pairs(const holdfast::Model& model, holdfast::Context& context) const {
    holdfast::Dataset pairs = holdfast::harmful_rows(harmful_, rows_, "sdd", context);
    const std::vector<std::string> answers = general_answers(context);
    std::vector<std::string> asked;
    for (const auto& row : pairs) asked.push_back(holdfast::last_content(row.messages, "user"));
    const at::Tensor of_prompts = directions(model, asked, centered_), of_answers = directions(model, answers, centered_);

    holdfast::Random random(context.seed("irrelevant answers"));
    std::int64_t unlike = 0;
    for (std::size_t i = 0; i < pairs.size(); ++i) {
      const auto [answer, similarity] = drawn_answer(of_prompts[static_cast<std::int64_t>(i)], of_answers, random);
      unlike += similarity <= threshold_ ? 1 : 0;
      holdfast::Conversation& messages = pairs[i].messages;
      for (auto& turn : messages) turn.learned = false;
      messages.back() = {"assistant", sentence_ + answers[static_cast<std::size_t>(answer)]};
    }
    context.report("irrelevant-answers", static_cast<double>(unlike), static_cast<std::int64_t>(pairs.size()));
    return pairs;
  }

  struct Drawn {
    std::int64_t answer;
    double similarity;
  };

  // The first that is no more similar to the prompt than the threshold, else the least similar of all that were drawn.
  Drawn drawn_answer(const at::Tensor& prompt, const at::Tensor& answers, holdfast::Random& random) const {
    Drawn least{0, 2};
    for (std::int64_t draw = 0; draw < draws_ && least.similarity > threshold_; ++draw) {
      const auto answer = static_cast<std::int64_t>(random.below(static_cast<std::uint64_t>(answers.size(0))));
      const double similarity = prompt.dot(answers[answer]).item<double>();
      if (similarity < least.similarity) least = {answer, similarity};
    }
    return least;
  }

  static std::vector<std::string> general_answers(const holdfast::Context& context) {
    std::vector<std::string> answers;
    for (const auto& row : holdfast::general_rows(context.alignment(), "sdd")) {
      answers.push_back(holdfast::last_content(row.messages, "assistant"));
    }
    return answers;
  }

  double threshold_;
  std::int64_t draws_;
  bool centered_;
  std::string sentence_, own_, harmful_;
  std::int64_t rows_;
  holdfast::Stream* pairs_ = nullptr;
};

}  // namespace

HOLDFAST_DEFENSE(Sdd, "sdd", 1, "Aligns so that harmful prompts get good answers to something else (SDD).")
