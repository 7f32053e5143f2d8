// A language model's replies.
#include <holdfast/error.h>

#include <algorithm>

#include "learn/generate.h"
#include "learn/language_model.h"
#include "learn/training_options.h"
#include "text/thought.h"

namespace holdfast {
namespace {

using Ids = std::vector<std::int64_t>;

// Some models mark their thoughts with special tokens, without which thought and answer cannot be told apart.
std::string reply_text(const Tokenizer& tokenizer, const Ids& ids) {
  std::string text = tokenizer.decode(ids, true);
  const bool marks_lost = std::any_of(ids.begin(), ids.end(), [&](std::int64_t id) {
    const std::string token = tokenizer.token_of(id);
    return begins_thought_mark(token) && text.find(token) == std::string::npos;
  });
  return marks_lost ? tokenizer.decode(ids, false) : text;
}

// All but the seed.
bool same_options(GenerateOptions a, const GenerateOptions& b) {
  a.seed = b.seed;
  return to_json(a) == to_json(b);
}

}  // namespace

std::vector<Generated> LanguageModel::generate(const std::vector<Conversation>& prompts, const GenerateOptions& options) const {
  Answers answers = std::move(generate_together({{this, prompts, options}}).front());
  if (answers.error) std::rethrow_exception(answers.error);
  return std::move(answers.replies);
}

std::vector<Generated> LanguageModel::replies_of(const std::vector<Conversation>& prompts, const GenerateOptions& options,
                                                 std::vector<Ids> continued) const {
  std::vector<Generated> replies;
  for (auto& ids : continued) {
    const std::string rendered = chat().render(prompts[replies.size()], true);
    const bool cut = ids.size() >= static_cast<std::size_t>(options.max_new_tokens);
    replies.push_back({std::string(opened_thought(rendered)) + reply_text(*tokenizer_, ids), std::move(ids), cut});
  }
  return replies;
}

std::vector<LanguageModel::Answers> LanguageModel::generate_together(const std::vector<Questions>& together) {
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
      HOLDFAST_CHECK(same_options(options, together.front().options));
      HOLDFAST_CHECK(together.size() == 1 || model->listeners().empty());
      HOLDFAST_CHECK(model->decoder_->has_weights_of(*together.front().model->decoder_));
      Asked one{model->decoder_.get(), {}, options.seed};
      for (const auto& prompt : prompts) one.prompts.push_back(model->encode_prompt(prompt));
      asked.push_back(std::move(one));
      owners.push_back(member);
    });
  }
  const auto& [model, prompts, options] = together.front();
  const auto continued = [&](const std::vector<Asked>& some) {
    return holdfast::generate_together(some, model->stop_tokens_, options, model->rules_);
  };
  std::vector<std::vector<Ids>> all;
  try {
    if (asked.size() > 1) all = continued(asked);
  } catch (const Error&) {  // by one of them: each alone, so that it is known which
  }
  for (std::size_t i = 0; i < asked.size(); ++i) {
    guarded(owners[i], [&] {
      const auto& own = together[owners[i]];
      std::vector<Ids> ids = all.empty() ? std::move(continued({asked[i]}).front()) : std::move(all[i]);
      answers[owners[i]].replies = own.model->replies_of(own.prompts, own.options, std::move(ids));
    });
  }
  return answers;
}

}  // namespace holdfast
