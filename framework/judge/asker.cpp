#include "judge/asker.h"

#include <holdfast/error.h>

#include <algorithm>
#include <cstdlib>
#include <map>

#include "base/digest.h"
#include "base/work_progress.h"
#include "judge/http.h"
#include "judge/recording.h"

namespace holdfast {
namespace {

// What is wrong with an endpoint's address, or an empty string. It is written into files: it may hold no secret.
std::string trouble_with(const std::string& url) {
  if (!url.starts_with("https://") && !url.starts_with("http://")) {
    return "is no address, expected \"https://HOST/v1\" or \"http://HOST:PORT/v1\"";
  }
  if (url.find_first_of("@?#") != std::string::npos) {
    return "holds a user, a query or a fragment: give the plain address, and the key through \"key_env\"";
  }
  if (url.find_first_of(" \t\r\n\"\\") != std::string::npos) return "holds white space or quotation marks";
  return "";
}

bool is_variable_name(const std::string& name) {
  return name.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") == std::string::npos;
}

bool is_printable(const std::string& text) {
  return std::all_of(text.begin(), text.end(), [](unsigned char c) { return c > 0x20 && c < 0x7F; });
}

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

}  // namespace

JudgeNeeds local_model(const std::string& model, Params& params) {
  JudgeNeeds needs;
  needs.model = model;
  needs.device = params.text("device", "cpu", "where a local model runs: cpu, cuda, cuda:N or auto");
  needs.dtype = params.choice("dtype", "default", {"default", "float32", "bfloat16", "float16"},
                              "numbers of a local model; default: float32 on the CPU, bfloat16 on CUDA");
  if (needs.device != "cpu" && needs.device != "auto" && !needs.device.starts_with("cuda")) {
    params.mistake("device", "\"" + needs.device + "\" is no device, expected cpu, cuda, cuda:N or auto");
    needs.device = "cpu";
  }
  // The stage key holds the checkpoint's digest and the numerics instead.
  params.unkeyed({"device", "dtype"});
  if (!model.empty()) params.unkeyed({"model"});
  return needs;
}

void check_fits(const LanguageModel& model, std::size_t tokens) {
  const auto limit = static_cast<std::size_t>(model.decoder().config().max_positions);
  if (tokens <= limit) return;
  throw Error("the judge's model takes " + std::to_string(limit) + " tokens and a question with its answer has " +
              std::to_string(tokens) + ": lower max_characters, or max_tokens where there is one, or choose a model with room");
}

Asker::Asker(Params& params) {
  model_ = params.text("model", "", "path of a local model; with an endpoint, the model's name there");
  read_endpoint(params);
  max_tokens_ = params.integer("max_tokens", 512, "longest answer, in tokens", 1);
  batch_size_ = params.integer("batch_size", 8, "questions that a local model is asked at a time", 1);
  needs_ = local_model(endpoint_.url.empty() ? model_ : "", params);
  if (model_.empty()) {
    params.mistake("model",
                   "this judge asks a model: give model = \"path\" of a local one, or endpoint = \"https://HOST/v1\" "
                   "and the model's name there");
  }
}

void Asker::read_endpoint(Params& params) {
  endpoint_.url =
      params.text("endpoint", "", "address of an OpenAI-compatible server, up to and with /v1; absent: a local model");
  const std::string variable =
      params.text("key_env", "OPENAI_API_KEY", "environment variable that holds the endpoint's key; \"\": it needs none");
  endpoint_.timeout = params.number("timeout", endpoint_.timeout, "seconds that one request may take", 0.01, 86400);
  endpoint_.retries = params.integer("retries", endpoint_.retries, "requests after the first for one answer", 0, 100);
  endpoint_.backoff =
      params.number("backoff", endpoint_.backoff, "retry n waits for a random part of this many seconds times 2^n", 0, 60);
  endpoint_.concurrency = params.integer("concurrency", endpoint_.concurrency, "requests of one worker at a time", 1, 256);
  recording_ = params.path("recording", "file of the endpoint's answers: those it has are used, new ones are added");
  replay_ = params.flag("replay", false, "answer from the recording alone; the endpoint is not asked");
  params.unkeyed({"key_env", "timeout", "retries", "backoff", "concurrency", "replay"});
  if (endpoint_.url.empty()) {
    if (!recording_.empty()) params.mistake("recording", "\"recording\" is for an endpoint, and there is none");
    if (replay_) params.mistake("replay", "\"replay\" is for an endpoint, and there is none");
    return;
  }
  if (const std::string trouble = trouble_with(endpoint_.url); !trouble.empty()) {
    params.mistake("endpoint", "the endpoint's address " + trouble);
    return;
  }
  while (endpoint_.url.ends_with('/')) endpoint_.url.pop_back();
  if (replay_ && recording_.empty()) params.mistake("replay", "\"replay\" needs recording = \"file.jsonl\" to answer from");
  if (!replay_ && !variable.empty()) read_key(params, variable);
}

// No message repeats what stands in key_env: it may be the key itself, put there by mistake.
void Asker::read_key(Params& params, const std::string& variable) {
  if (!is_variable_name(variable)) {
    params.mistake("key_env",
                   "\"key_env\" is the name of an environment variable, expected upper-case letters, digits and "
                   "underscores");
    return;
  }
  const char* value = std::getenv(variable.c_str());
  endpoint_.key = value == nullptr ? "" : value;
  if (endpoint_.key.empty()) {
    params.mistake("key_env",
                   "the environment variable that \"key_env\" names (default OPENAI_API_KEY) is not set: export the "
                   "key, say key_env = \"\" for an endpoint without one, or replay = true to use a recording");
  } else if (!is_printable(endpoint_.key)) {
    params.mistake("key_env", "the key in the environment holds white space or control characters: export it without");
  } else if (endpoint_.url.starts_with("http://") && !is_loopback(endpoint_.url)) {
    params.mistake("endpoint",
                   "the endpoint is http:// on another machine and the key would travel in the clear: use https://, "
                   "or key_env = \"\"");
  }
}

Json Asker::body(const Conversation& conversation) const {
  Json messages = Json::array();
  for (const auto& turn : conversation) messages.push_back({{"role", turn.role}, {"content", turn.content}});
  return {{"model", model_}, {"messages", messages}, {"temperature", 0}, {"max_tokens", max_tokens_}};
}

std::vector<Answer> Asker::ask(const std::vector<Conversation>& conversations, JudgeContext& context) const {
  std::vector<Json> bodies;
  std::vector<std::string> keys;
  for (const auto& conversation : conversations) {
    bodies.push_back(body(conversation));
    keys.push_back(canonical(bodies.back()));
  }
  const Distinct questions = distinct(keys);
  std::vector<Answer> given;
  if (!questions.first.empty() && endpoint_.url.empty()) {
    std::vector<Conversation> asked;
    for (const auto first : questions.first) asked.push_back(conversations[first]);
    given = ask_local(asked, context.judge_model());
  } else if (!questions.first.empty()) {
    std::vector<Json> asked;
    for (const auto first : questions.first) asked.push_back(bodies[first]);
    given = ask_endpoint(asked);
  }
  std::vector<Answer> answers;
  for (const auto which : questions.which) answers.push_back(given[which]);
  return answers;
}

std::vector<Answer> Asker::ask_local(const std::vector<Conversation>& conversations, const LanguageModel& model) const {
  GenerateOptions options;
  options.max_new_tokens = max_tokens_;
  options.batch_size = batch_size_;
  std::vector<std::size_t> lengths;
  for (const auto& conversation : conversations) {
    lengths.push_back(model.encode_prompt(conversation).size());
    check_fits(model, lengths.back() + static_cast<std::size_t>(max_tokens_));
  }
  std::vector<Answer> answers;
  for (const auto& reply : model.generate(conversations, options)) {
    const Json usage = {{"prompt_tokens", lengths[answers.size()]}, {"completion_tokens", reply.ids.size()}};
    answers.push_back({reply.text, usage});
  }
  return answers;
}

std::vector<Answer> Asker::ask_endpoint(const std::vector<Json>& bodies) const {
  std::optional<Recording> recording;
  if (!recording_.empty()) recording.emplace(recording_);
  std::vector<Answer> answers(bodies.size());
  std::vector<std::string> requests;
  std::vector<std::size_t> missing;
  for (std::size_t i = 0; i < bodies.size(); ++i) {
    requests.push_back(sha256(canonical(bodies[i])));
    const auto known = recording ? recording->find(requests[i]) : std::nullopt;
    if (known) answers[i] = *known;
    if (!known) missing.push_back(i);
  }
  if (replay_ && !missing.empty()) {
    throw Error("the recording " + recording_.string() + " lacks " + std::to_string(missing.size()) + " of the " +
                std::to_string(bodies.size()) +
                " answers that are needed: run once with replay = false to add them, or bring the "
                "recording that was made with this model, max_tokens, prompt and replies");
  }
  std::vector<Json> asked;
  for (const auto i : missing) asked.push_back(bodies[i]);
  std::int64_t done = 0;
  complete_chats(endpoint_, asked, [&](std::size_t n, const Answer& answer) {
    tell_progress({"reply", ++done, static_cast<std::int64_t>(asked.size()), 0, std::nullopt});
    const std::size_t i = missing[n];
    answers[i] = recording ? recording->add(requests[i], model_, answer) : answer;
  });
  return answers;
}

}  // namespace holdfast
