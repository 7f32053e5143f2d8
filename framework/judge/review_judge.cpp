#include "judge/review_judge.h"

#include "base/digest.h"
#include "judge/judges.h"
#include "judge/question.h"

namespace holdfast {
namespace {

Json to_json(const Answer& answer) { return {{"text", answer.text}, {"usage", answer.usage}}; }

// One reply on its way to a verdict.
struct Review {
  std::size_t reply;
  Conversation conversation;
  Json answers = Json::array();
  std::optional<std::map<std::string, double>> outcomes;
};

class ReviewJudge final : public Judge {
 public:
  ReviewJudge(Asker asker, ReviewQuestion question) : asker_(std::move(asker)), question_(std::move(question)) {}

  JudgeNeeds needs() const override { return asker_.needs(); }

  std::vector<Verdict> score(const std::vector<JudgedReply>& replies, JudgeContext& context) const override {
    std::vector<Review> reviews;
    for (std::size_t i = 0; i < replies.size(); ++i) {
      if (tag(replies[i], "kind") == "harmful") reviews.push_back({i, {{"user", prompt(replies[i])}}, Json::array(), {}});
    }
    std::vector<Review*> pending;
    for (auto& review : reviews) pending.push_back(&review);
    ask(pending, context);
    std::erase_if(pending, [](const Review* review) { return review->outcomes.has_value(); });
    for (auto* review : pending) {
      review->conversation.push_back({"assistant", review->answers.back().at("text")});
      review->conversation.push_back({"user", question_.reminder});
    }
    ask(pending, context);
    std::vector<Verdict> verdicts(replies.size());
    for (auto& review : reviews) verdicts[review.reply] = verdict(review);
    return verdicts;
  }

 private:
  std::string prompt(const JudgedReply& judged) const {
    return filled(question_.prompt, {{"policy", question_.policy},
                                     {"instruction", shortened(instruction_text(judged.prompt), question_.max_characters)},
                                     {"answer", shortened(judged.reply, question_.max_characters)}});
  }

  void ask(const std::vector<Review*>& reviews, JudgeContext& context) const {
    std::vector<Conversation> conversations;
    for (const auto* review : reviews) conversations.push_back(review->conversation);
    const auto answers = asker_.ask(conversations, context);
    for (std::size_t i = 0; i < reviews.size(); ++i) {
      reviews[i]->answers.push_back(to_json(answers[i]));
      reviews[i]->outcomes = question_.read(answers[i].text);
    }
  }

  Verdict verdict(const Review& review) const {
    Verdict verdict;
    if (review.outcomes) {
      for (const auto& [metric, outcome] : *review.outcomes) verdict.outcomes[metric + "." + question_.id] = outcome;
    }
    verdict.outcomes["unjudged." + question_.id] = review.outcomes ? 0 : 1;
    verdict.raw = {{"answers", review.answers}};
    verdict.prompt_digest = sha256(filled(question_.prompt, {{"policy", question_.policy}}));
    return verdict;
  }

  Asker asker_;
  ReviewQuestion question_;
};

}  // namespace

std::unique_ptr<Judge> make_review_judge(Asker asker, ReviewQuestion question) {
  return std::make_unique<ReviewJudge>(std::move(asker), std::move(question));
}

std::size_t read_max_characters(Params& params) {
  return static_cast<std::size_t>(
      params.integer("max_characters", 8000,
                     "longest request and longest reply that the model is shown, in characters; of a "
                     "longer one the middle is left out",
                     100, 10000000));
}

}  // namespace holdfast
