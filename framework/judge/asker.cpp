#include "judge/asker.h"

#include <holdfast/error.h>

#include <algorithm>
#include <cstdlib>
#include <map>

#include "base/digest.h"
#include "base/work_progress.h"
#include "judge/chat_endpoint.h"
#include "judge/recording.h"

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

Json body_of(const Conversation& conversation, const AskOptions& options) {
  Json messages = Json::array();
  for (const auto& turn : conversation) messages.push_back({{"role", turn.role}, {"content", turn.content}});
  return {{"model", options.model}, {"messages", messages}, {"temperature", 0}, {"max_tokens", options.max_tokens}};
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
ChatEndpoint endpoint_of(const AskOptions& options) {
  const char* key = options.key_env.empty() ? nullptr : std::getenv(options.key_env.c_str());
  return {options.endpoint, key == nullptr ? "" : key, options.timeout, options.retries, options.backoff, options.concurrency};
}

std::vector<Answer> ask_endpoint(const std::vector<Json>& bodies, const AskOptions& options) {
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
                "recording that was made with this model, max_tokens, prompt and replies");
  }
  std::vector<Json> asked;
  for (const auto i : missing) asked.push_back(bodies[i]);
  std::int64_t done = 0;
  complete_chats(endpoint_of(options), asked, [&](std::size_t n, const Answer& answer) {
    tell_progress({"reply", ++done, static_cast<std::int64_t>(asked.size()), 0, std::nullopt});
    const std::size_t i = missing[n];
    answers[i] = recording ? recording->add(requests[i], options.model, answer) : answer;
  });
  return answers;
}

}  // namespace

void check_fits(const LanguageModel& model, std::size_t tokens) {
  const auto limit = static_cast<std::size_t>(model.decoder().config().max_positions);
  if (tokens <= limit) return;
  throw Error("the judge's model takes " + std::to_string(limit) + " tokens and a question with its answer has " +
              std::to_string(tokens) + ": lower max_characters, or max_tokens where there is one, or choose a model with room");
}

std::vector<Answer> ask(const std::vector<Conversation>& conversations, const AskOptions& options,
                        const std::function<const LanguageModel&()>& local) {
  std::vector<Json> bodies;
  std::vector<std::string> keys;
  for (const auto& conversation : conversations) {
    bodies.push_back(body_of(conversation, options));
    keys.push_back(canonical(bodies.back()));
  }
  const Distinct questions = distinct(keys);
  std::vector<Answer> given;
  if (!questions.first.empty() && options.endpoint.empty()) {
    std::vector<Conversation> asked;
    for (const auto first : questions.first) asked.push_back(conversations[first]);
    given = ask_local(asked, options, local());
  } else if (!questions.first.empty()) {
    std::vector<Json> asked;
    for (const auto first : questions.first) asked.push_back(bodies[first]);
    given = ask_endpoint(asked, options);
  }
  std::vector<Answer> answers;
  for (const auto which : questions.which) answers.push_back(given[which]);
  return answers;
}

}  // namespace holdfast
