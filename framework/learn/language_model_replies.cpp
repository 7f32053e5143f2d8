// A language model's replies.
#include <holdfast/error.h>

#include "learn/generate.h"
#include "learn/language_model.h"
#include "learn/reply_text.h"
#include "learn/training_options.h"
#include "text/thought.h"

namespace holdfast {
namespace {

using Ids = std::vector<std::int64_t>;

// Tells another listener by the places of the questions, of which those that were refused are not asked.
class AmongQuestions final : public ReplyListener {
 public:
  AmongQuestions(ReplyListener& listener, const std::vector<std::size_t>& places) : listener_(listener), places_(places) {}
  bool grown(std::size_t member, std::size_t prompt, const Ids& reply, bool ended) override {
    return listener_.grown(places_[member], prompt, reply, ended);
  }

 private:
  ReplyListener& listener_;
  const std::vector<std::size_t>& places_;
};

}  // namespace

std::vector<Generated> LanguageModel::generate(const std::vector<Conversation>& prompts, const GenerateOptions& options) const {
  Answers answers = std::move(generate_together({{this, prompts, options}}).front());
  if (answers.error) std::rethrow_exception(answers.error);
  return std::move(answers.replies);
}

Generated LanguageModel::generated(const Conversation& prompt, const GenerateOptions& options, Ids ids) const {
  const std::string rendered = chat().render(prompt, true);
  const bool cut = ids.size() >= static_cast<std::size_t>(options.max_new_tokens);
  return {std::string(opened_thought(rendered)) + reply_text(*tokenizer_, ids), std::move(ids), cut};
}

std::vector<LanguageModel::Answers> LanguageModel::generate_together(const std::vector<Questions>& together,
                                                                     ReplyListener* listener) {
  std::vector<Answers> answers(together.size());
  const auto guarded = [&](std::size_t member, const auto& work) {
    try {
      work();
    } catch (const Error&) {
      answers[member].error = std::current_exception();
    }
  };
  std::vector<Asked> asked;
  std::vector<std::size_t> owners;
  for (std::size_t member = 0; member < together.size(); ++member) {
    const auto& [model, prompts, options] = together[member];
    guarded(member, [&] {
      check_options(generate_options(), options, "generation");
      HOLDFAST_CHECK(together.size() == 1 || model->listeners().empty());
      HOLDFAST_CHECK(model->decoder_->has_weights_of(*together.front().model->decoder_));
      Asked one{model->decoder_.get(), {}, options};
      for (const auto& prompt : prompts) one.prompts.push_back(model->encode_prompt(prompt));
      asked.push_back(std::move(one));
      owners.push_back(member);
    });
  }
  const LanguageModel& first = *together.front().model;
  const auto continued = [&](const std::vector<Asked>& some, const std::vector<std::size_t>& places) {
    if (listener == nullptr) return holdfast::generate_together(some, first.stop_tokens_, first.rules_);
    AmongQuestions telling(*listener, places);
    return holdfast::generate_together(some, first.stop_tokens_, first.rules_, &telling);
  };
  std::vector<std::vector<Ids>> all;
  try {
    if (asked.size() > 1) all = continued(asked, owners);
  } catch (const Error&) {  // by one of them: each alone, so that it is known which
  }
  for (std::size_t i = 0; i < asked.size(); ++i) {
    guarded(owners[i], [&] {
      const auto& [model, prompts, options] = together[owners[i]];
      std::vector<Ids> replies = all.empty() ? std::move(continued({asked[i]}, {owners[i]}).front()) : std::move(all[i]);
      std::vector<Generated> made;
      for (auto& ids : replies) made.push_back(model->generated(prompts[made.size()], options, std::move(ids)));
      answers[owners[i]].replies = std::move(made);
    });
  }
  return answers;
}

}  // namespace holdfast
