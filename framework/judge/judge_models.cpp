#include "judge/judge_models.h"

#include "base/json.h"
#include "base/work_progress.h"
#include "judge/asker.h"
#include "learn/continuation.h"
#include "text/thought.h"

namespace holdfast {
namespace {

ModelAnswer parted(const Answer& answer) {
  Json record = {{"text", answer.text}, {"usage", answer.usage}};
  if (!answer.declined.empty()) record["declined"] = answer.declined;
  const PartedReply parts = part_reply(answer.text);
  return {parts.answer, answer.text, parts.unfinished, answer.declined, {canonical(record)}};
}

std::vector<std::int64_t> followed(const LanguageModel& model, std::vector<std::int64_t> ids, const std::string& text) {
  for (const auto& token : model.tokenizer().encode(text, false)) ids.push_back(token.id);
  return ids;
}

// The question up to the answers, and the tokens in which they part.
Fork fork_between(const LanguageModel& model, const Conversation& question, const TwoAnswers& answers) {
  if (answers.lead) {
    const auto prompt = model.encode_prompt(question);
    return fork_of(followed(model, prompt, *answers.lead + answers.first),
                   followed(model, prompt, *answers.lead + answers.second));
  }
  return fork_of(begun_reply(model, question, answers.first).ids, begun_reply(model, question, answers.second).ids);
}

}  // namespace

std::vector<ModelAnswer> JudgeModels::ask(const std::vector<Conversation>& questions, const AskOptions& options) {
  std::vector<ModelAnswer> answers;
  for (const auto& answer : holdfast::ask(questions, options, [this]() -> const LanguageModel& { return judge_model(); })) {
    answers.push_back(parted(answer));
  }
  return answers;
}

std::vector<TwoLogProbs> JudgeModels::two_log_probs(const std::vector<Conversation>& questions, const TwoAnswers& answers) {
  if (questions.empty()) return {};
  const LanguageModel& model = judge_model();
  std::vector<Fork> forks;
  for (const auto& question : questions) {
    forks.push_back(fork_between(model, question, answers));
    check_fits(model, forks.back().common.size());
  }
  std::vector<TwoLogProbs> found;
  for (const auto& each : fork_log_probs(model, forks)) found.push_back({each.first, each.second});
  return found;
}

std::vector<double> JudgeModels::opening_log_probs(const Model& model, const Conversation& prompt,
                                                   const std::vector<std::string>& openings) {
  return mean_log_probs(language_model(model), prompt, openings);
}

std::string JudgeModels::rendered(const Conversation& question) { return judge_model().chat().render(question, true); }

void JudgeModels::progress(std::int64_t done, std::int64_t total) { tell_progress({"reply", done, total, 0, std::nullopt}); }

const LanguageModel& language_model(const Model& model) { return dynamic_cast<const LanguageModel&>(model); }

}  // namespace holdfast
