#include "judge/asker.h"

#include <holdfast/error.h>

#include <algorithm>
#include <cstdlib>
#include <map>

#include "base/digest.h"
#include "base/work_progress.h"
#include "data/conversation.h"
#include "judge/endpoint.h"
#include "judge/recording.h"
#include "learn/continuation.h"
#include "text/thought.h"

namespace holdfast {
namespace {

// Each distinct key once, in order, and which of them each item has.
struct Distinct {
  std::vector<std::size_t> first;  // item that has it first
  std::vector<std::size_t> which;  // by item
};

Distinct distinct(const std::vector<std::string>& keys) {
  Distinct found;
  std::map<std::string, std::size_t> places;
  for (std::size_t i = 0; i < keys.size(); ++i) {
    const auto [place, fresh] = places.emplace(keys[i], found.first.size());
    if (fresh) found.first.push_back(i);
    found.which.push_back(place->second);
  }
  return found;
}

Json chat_body(const Conversation& conversation, const AskOptions& options) {
  return {
      {"model", options.model}, {"messages", to_json(conversation)}, {"temperature", 0}, {"max_tokens", options.max_tokens}};
}

// Throws Error when a local model cannot take a question, with its answer, of so many tokens.
void check_fits(const LanguageModel& model, std::size_t tokens) {
  const auto limit = static_cast<std::size_t>(model.decoder().config().max_positions);
  if (tokens <= limit) return;
  throw Error("the model that is asked takes " + std::to_string(limit) + " tokens and a question with its answer has " +
              std::to_string(tokens) + ": lower max_characters, or max_tokens where there is one, or choose a model with room");
}

std::vector<Answer> ask_local(const std::vector<Conversation>& conversations, const AskOptions& options,
                              const LanguageModel& model) {
  GenerateOptions generating;
  generating.max_new_tokens = options.max_tokens;
  generating.batch_size = options.batch_size;
  std::vector<std::size_t> lengths;
  for (const auto& conversation : conversations) {
    lengths.push_back(model.encode_prompt(conversation).size());
    check_fits(model, lengths.back() + static_cast<std::size_t>(options.max_tokens));
  }
  std::vector<Answer> answers;
  for (const auto& reply : model.generate(conversations, generating)) {
    const Json usage = {{"prompt_tokens", lengths[answers.size()]}, {"completion_tokens", reply.ids.size()}};
    answers.push_back({reply.text, usage});
  }
  return answers;
}

// The key is a secret: it is in no settings.
Endpoint endpoint_of(const AskOptions& options) {
  const char* key = options.key_env.empty() ? nullptr : std::getenv(options.key_env.c_str());
  return {options.endpoint, key == nullptr ? "" : key, options.timeout, options.retries, options.backoff, options.concurrency};
}

std::vector<Answer> ask_endpoint(const Service& service, const std::vector<Json>& bodies, const AskOptions& options) {
  std::optional<Recording> recording;
  if (!options.recording.empty()) recording.emplace(options.recording);
  std::vector<Answer> answers(bodies.size());
  std::vector<std::string> requests;
  std::vector<std::size_t> missing;
  for (std::size_t i = 0; i < bodies.size(); ++i) {
    requests.push_back(sha256(canonical(bodies[i])));
    const auto known = recording ? recording->find(requests[i]) : std::nullopt;
    if (known) answers[i] = *known;
    if (!known) missing.push_back(i);
  }
  if (options.replay && !missing.empty()) {
    throw Error("the recording " + options.recording.string() + " lacks " + std::to_string(missing.size()) + " of the " +
                std::to_string(bodies.size()) +
                " answers that are needed: run once with replay = false to add them, or bring the "
                "recording that was made with this model, max_tokens, prompt and texts");
  }
  std::vector<Json> asked;
  for (const auto i : missing) asked.push_back(bodies[i]);
  std::int64_t done = 0;
  ask_service(endpoint_of(options), service, asked, [&](std::size_t n, const Answer& answer) {
    tell_progress({"reply", ++done, static_cast<std::int64_t>(asked.size()), 0, std::nullopt});
    const std::size_t i = missing[n];
    answers[i] = recording ? recording->add(requests[i], options.model, answer) : answer;
  });
  return answers;
}

std::string key_of(const Json& body) { return canonical(body); }
std::string key_of(const Conversation& question) { return canonical(to_json(question)); }

// Asks for each distinct item once.
template <typename Item, typename Ask>
std::vector<Answer> ask_distinct(const std::vector<Item>& items, const Ask& ask) {
  std::vector<std::string> keys;
  for (const auto& item : items) keys.push_back(key_of(item));
  const Distinct found = distinct(keys);
  std::vector<Item> asked;
  for (const auto first : found.first) asked.push_back(items[first]);
  const std::vector<Answer> given = ask(asked);
  std::vector<Answer> answers;
  for (const auto which : found.which) answers.push_back(given[which]);
  return answers;
}

std::vector<Answer> ask_endpoint_once(const Service& service, const std::vector<Json>& bodies, const AskOptions& options) {
  return ask_distinct(bodies, [&](const std::vector<Json>& asked) { return ask_endpoint(service, asked, options); });
}

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

std::vector<ModelAnswer> ModelAsker::ask(const std::vector<Conversation>& questions, const AskOptions& options) {
  std::vector<Answer> given;
  if (!questions.empty() && options.endpoint.empty()) {
    const LanguageModel& model = asked_model();
    given = ask_distinct(questions, [&](const std::vector<Conversation>& asked) { return ask_local(asked, options, model); });
  } else if (!questions.empty()) {
    std::vector<Json> bodies;
    for (const auto& question : questions) bodies.push_back(chat_body(question, options));
    given = ask_endpoint_once(kChatCompletions, bodies, options);
  }
  std::vector<ModelAnswer> answers;
  for (const auto& answer : given) answers.push_back(parted(answer));
  return answers;
}

std::vector<ModerationAnswer> ModelAsker::moderations(const std::vector<std::string>& texts, const AskOptions& options) {
  HOLDFAST_CHECK(!options.endpoint.empty());
  std::vector<Json> bodies;
  for (const auto& text : texts) bodies.push_back({{"model", options.model}, {"input", text}});
  std::vector<ModerationAnswer> answers;
  for (const auto& answer : ask_endpoint_once(kModerations, bodies, options)) answers.push_back(moderation_from(answer));
  return answers;
}

std::vector<TwoLogProbs> ModelAsker::two_log_probs(const Model& model, const std::vector<Conversation>& questions,
                                                   const TwoAnswers& answers) {
  if (questions.empty()) return {};
  const LanguageModel& asked = language_model(model);
  std::vector<Fork> forks;
  for (const auto& question : questions) {
    forks.push_back(fork_between(asked, question, answers));
    check_fits(asked, forks.back().common.size());
  }
  std::vector<TwoLogProbs> found;
  for (const auto& each : fork_log_probs(asked, forks)) found.push_back({each.first, each.second});
  return found;
}

std::string ModelAsker::rendered(const Model& model, const Conversation& question) {
  return language_model(model).chat().render(question, true);
}

const LanguageModel& language_model(const Model& model) { return dynamic_cast<const LanguageModel&>(model); }

}  // namespace holdfast
