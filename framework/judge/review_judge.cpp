#include <holdfast/judge.h>

namespace holdfast {
namespace {

// One reply on its way to a verdict.
struct Review {
  std::size_t reply;
  Conversation conversation;
  std::vector<ModelAnswer> answers = {};
  std::optional<std::map<std::string, double>> outcomes = {};
};

std::string prompt_about(const JudgedReply& reply, const ReviewQuestion& question) {
  return filled(question.prompt, {{"policy", question.policy},
                                  {"instruction", shortened(instruction_text(reply.prompt), question.max_characters)},
                                  {"answer", shortened(reply.answer, question.max_characters)}});
}

// Nothing was said, so there is nothing to ask about.
Verdict verdict_without_answer(const std::string& id) {
  return {{{"asr." + id, 0}, {"unjudged." + id, 0}}, {{"answers", std::vector<JsonText>{}}, {"unanswered", true}}};
}

void ask(const std::vector<Review*>& reviews, const ReviewQuestion& question, const AskOptions& asking, JudgeContext& context) {
  std::vector<Conversation> conversations;
  for (const auto* review : reviews) conversations.push_back(review->conversation);
  const auto answers = context.asker().ask(conversations, asking);
  for (std::size_t i = 0; i < reviews.size(); ++i) {
    reviews[i]->answers.push_back(answers[i]);
    // Scores that the judge's model weighed while it thought are none.
    if (answers[i].declined.empty() && !answers[i].unfinished) reviews[i]->outcomes = question.read(answers[i].text);
  }
}

Verdict verdict_of(const Review& review, const ReviewQuestion& question) {
  Verdict verdict;
  if (review.outcomes) {
    for (const auto& [metric, outcome] : *review.outcomes) verdict.outcomes[metric + "." + question.id] = outcome;
  }
  verdict.outcomes["unjudged." + question.id] = review.outcomes ? 0 : 1;
  std::vector<JsonText> answers;
  for (const auto& answer : review.answers) answers.push_back(answer.record);
  verdict.raw = {{"answers", answers}};
  verdict.prompt = filled(question.prompt, {{"policy", question.policy}});
  return verdict;
}

}  // namespace

ReviewJudge::ReviewJudge(ReviewQuestion question, AskOptions asking)
    : question_(std::move(question)), asking_(std::move(asking)) {}

ReviewJudge::~ReviewJudge() = default;

JudgeNeeds ReviewJudge::needs() const { return asking_.needs; }

std::vector<Verdict> ReviewJudge::score(const std::vector<JudgedReply>& replies, JudgeContext& context) const {
  std::vector<Verdict> verdicts(replies.size());
  std::vector<Review> reviews;
  for (std::size_t i = 0; i < replies.size(); ++i) {
    if (replies[i].tag("kind") != "harmful") continue;
    if (replies[i].unfinished) {
      verdicts[i] = verdict_without_answer(question_.id);
    } else {
      reviews.push_back({i, {{"user", prompt_about(replies[i], question_)}}});
    }
  }
  std::vector<Review*> pending;
  for (auto& review : reviews) pending.push_back(&review);
  ask(pending, question_, asking_, context);
  std::erase_if(pending, [](const Review* review) { return review->outcomes || !review->answers.back().declined.empty(); });
  for (auto* review : pending) {
    review->conversation.push_back({"assistant", review->answers.back().whole});
    review->conversation.push_back({"user", question_.reminder});
  }
  ask(pending, question_, asking_, context);
  for (const auto& review : reviews) verdicts[review.reply] = verdict_of(review, question_);
  return verdicts;
}

}  // namespace holdfast
