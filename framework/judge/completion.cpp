#include "judge/completion.h"

#include <holdfast/error.h>
#include <holdfast/judge.h>

#include <algorithm>
#include <vector>

#include "base/untrusted.h"
#include "judge/server_error.h"

namespace holdfast {
namespace {

Completion declined(const std::string& reason, const Json& usage = Json::object()) {
  return {Answer{"", usage, reason}, "", false};
}

Completion failed(long status, const ServerError& error, const std::string& body) {
  const std::string trouble = trouble_text(status, error, body);
  if (declines(status, error)) return declined(trouble);
  return {{}, trouble, may_pass(status, error)};
}

// Gateways pass errors on under the status 200; their code is then the status that they got, if it is one.
long status_within(const Json& error) {
  const Json& code = member(error, "code");
  const bool status = code.is_number_integer() && code.get<long>() >= 400 && code.get<long>() < 600;
  return status ? code.get<long>() : 200;
}

Json usage_of(const Json& completion) {
  Json usage = Json::object();
  for (const auto* name : {"prompt_tokens", "completion_tokens"}) {
    const Json& count = member(member(completion, "usage"), name);
    if (count.is_number_integer()) usage[name] = count;
  }
  return usage;
}

// The texts of a content that comes in parts, without what the model thought; nothing where it is something else.
std::optional<std::string> joined(const Json& parts) {
  std::string text;
  for (const auto& part : parts) {
    if (!part.is_string() && !part.is_object()) return std::nullopt;
    const std::string type = text_or_number(member(part, "type"));
    const Json& words = part.is_string() ? part : member(part, "text");
    if ((type.empty() || type == "text" || type == "output_text") && words.is_string()) text += words.get<std::string>();
  }
  return text;
}

// A model that thought until its tokens were used up leaves no content, or a null.
std::optional<std::string> content_of(const Json& message) {
  const Json& content = member(message, "content");
  if (content.is_string()) return content.get<std::string>();
  if (content.is_array()) return joined(content);
  const bool silent = message.contains("content") || message.contains("reasoning_content") || message.contains("reasoning");
  return content.is_null() && silent ? std::optional<std::string>("") : std::nullopt;
}

std::string refusal_of(const Json& message) {
  if (member(message, "refusal").is_string()) return message["refusal"];
  const Json& content = member(message, "content");
  if (!content.is_array()) return "";
  for (const auto& part : content) {
    if (member(part, "type") != "refusal") continue;
    const Json& words = member(part, "refusal");
    return words.is_string() ? words.get<std::string>() : "refusal";
  }
  return "";
}

Completion malformed(const std::string& body, const std::string& expected) {
  return {{}, "an answer that is no " + expected + ", " + shown(body), true};
}

Completion read_choice(const Json& choice, const Json& usage, const std::string& body) {
  if (member(choice, "error").is_object()) return failed(status_within(choice["error"]), server_error(choice), body);
  const std::string reason = text_or_number(member(choice, "finish_reason"));
  if (names_declining(reason)) return declined("finish_reason " + shown(reason), usage);
  const Json& message = member(choice, "message");
  if (!message.is_object()) return malformed(body, "chat completion");
  if (const std::string refusal = refusal_of(message); !refusal.empty()) return declined("refusal " + shown(refusal), usage);
  const auto content = content_of(message);
  return content ? Completion{Answer{*content, usage, "", reason == "length"}, "", false} : malformed(body, "chat completion");
}

// What is wrong with a reply before one looks at the list that should hold its answers.
std::optional<Completion> trouble_of(const HttpReply& reply, const Json& body, const char* list) {
  if (reply.status == 0) return Completion{{}, reply.failure, !reply.permanent};
  if (reply.status != 200) return failed(reply.status, server_error(body), reply.body);
  const Json& answers = member(body, list);
  if (member(body, "error").is_null() || (answers.is_array() && !answers.empty())) return std::nullopt;
  return failed(status_within(body["error"]), server_error(body), reply.body);
}

}  // namespace

Completion read_completion(const HttpReply& reply) {
  const Json body = json_or_discarded(reply.body);
  if (const auto trouble = trouble_of(reply, body, "choices")) return *trouble;
  const Json& choices = member(body, "choices");
  if (!choices.is_array()) return malformed(reply.body, "chat completion");
  if (choices.empty()) return declined("an answer without choices", usage_of(body));
  return read_choice(choices.front(), usage_of(body), reply.body);
}

Completion read_moderation(const HttpReply& reply) {
  const Json body = json_or_discarded(reply.body);
  if (const auto trouble = trouble_of(reply, body, "results")) return *trouble;
  const Json& results = member(body, "results");
  if (!results.is_array() || results.size() != 1 || !member(results[0], "flagged").is_boolean()) {
    return malformed(reply.body, "moderation of one text");
  }
  Json scores = Json::object();
  if (const Json& given = member(results[0], "category_scores"); given.is_object()) {
    for (const auto& [category, score] : given.items()) {
      if (score.is_number()) scores[category] = score;
    }
  }
  return {Answer{canonical({{"flagged", results[0]["flagged"]}, {"scores", scores}}), Json::object(), ""}, "", false};
}

ModerationAnswer moderation_from(const Answer& answer) {
  if (!answer.declined.empty()) return {false, {}, answer.declined};
  const Json json = json_or_discarded(answer.text);
  const Json& scores = member(json, "scores");
  const bool numbers = std::all_of(scores.begin(), scores.end(), [](const Json& score) { return score.is_number(); });
  if (!member(json, "flagged").is_boolean() || !scores.is_object() || !numbers) {
    throw Error("a recorded answer is no moderation of a text: give \"recording\" a file of its own");
  }
  return {json["flagged"].get<bool>(), scores.get<std::map<std::string, double>>(), ""};
}

}  // namespace holdfast
