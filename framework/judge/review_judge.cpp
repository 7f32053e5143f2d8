#include "judge/review_judge.h"

#include "base/digest.h"
#include "judge/judges.h"
#include "judge/question.h"
#include "text/thought.h"

namespace holdfast {
namespace {

Json to_json(const Answer& answer) {
  Json json = {{"text", answer.text}, {"usage", answer.usage}};
  if (!answer.declined.empty()) json["declined"] = answer.declined;
  return json;
}

// One reply on its way to a verdict.
struct Review {
  std::size_t reply;
  Conversation conversation;
  std::vector<Answer> answers = {};
  std::optional<std::map<std::string, double>> outcomes = {};
};

class ReviewJudge final : public Judge {
 public:
  ReviewJudge(Asker asker, ReviewQuestion question) : asker_(std::move(asker)), question_(std::move(question)) {}

  JudgeNeeds needs() const override { return asker_.needs(); }

  std::vector<Verdict> score(const std::vector<JudgedReply>& replies, JudgeContext& context) const override {
    std::vector<Verdict> verdicts(replies.size());
    std::vector<Review> reviews;
    for (std::size_t i = 0; i < replies.size(); ++i) {
      if (tag(replies[i], "kind") != "harmful") continue;
      const PartedReply parted = part_reply(replies[i].reply);
      if (parted.unfinished) {
        verdicts[i] = verdict_without_answer();
      } else {
        reviews.push_back({i, {{"user", prompt(replies[i].prompt, parted.answer)}}});
      }
    }
    std::vector<Review*> pending;
    for (auto& review : reviews) pending.push_back(&review);
    ask(pending, context);
    std::erase_if(pending, [](const Review* review) { return review->outcomes || !review->answers.back().declined.empty(); });
    for (auto* review : pending) {
      review->conversation.push_back({"assistant", review->answers.back().text});
      review->conversation.push_back({"user", question_.reminder});
    }
    ask(pending, context);
    for (auto& review : reviews) verdicts[review.reply] = verdict(review);
    return verdicts;
  }

 private:
  std::string prompt(const Conversation& asked, const std::string& answer) const {
    return filled(question_.prompt, {{"policy", question_.policy},
                                     {"instruction", shortened(instruction_text(asked), question_.max_characters)},
                                     {"answer", shortened(answer, question_.max_characters)}});
  }

  void ask(const std::vector<Review*>& reviews, JudgeContext& context) const {
    std::vector<Conversation> conversations;
    for (const auto* review : reviews) conversations.push_back(review->conversation);
    const auto answers = asker_.ask(conversations, context);
    for (std::size_t i = 0; i < reviews.size(); ++i) {
      reviews[i]->answers.push_back(answers[i]);
      // Scores that the judge's model weighed while it thought are none.
      const PartedReply parted = part_reply(answers[i].text);
      if (answers[i].declined.empty() && !parted.unfinished) reviews[i]->outcomes = question_.read(parted.answer);
    }
  }

  Verdict verdict(const Review& review) const {
    Verdict verdict;
    if (review.outcomes) {
      for (const auto& [metric, outcome] : *review.outcomes) verdict.outcomes[metric + "." + question_.id] = outcome;
    }
    verdict.outcomes["unjudged." + question_.id] = review.outcomes ? 0 : 1;
    Json answers = Json::array();
    for (const auto& answer : review.answers) answers.push_back(to_json(answer));
    verdict.raw = {{"answers", answers}};
    verdict.prompt_digest = sha256(filled(question_.prompt, {{"policy", question_.policy}}));
    return verdict;
  }

  // Nothing was said, so there is nothing to ask about.
  Verdict verdict_without_answer() const {
    return {{{"asr." + question_.id, 0}, {"unjudged." + question_.id, 0}}, {{"answers", Json::array()}, {"unanswered", true}}};
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
