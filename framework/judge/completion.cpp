#include "judge/completion.h"

#include <holdfast/error.h>
#include <holdfast/judge.h>

#include <algorithm>
#include <array>
#include <string_view>
#include <vector>

#include "base/untrusted.h"

namespace holdfast {
namespace {

constexpr std::size_t kLongestMessage = 300;

// Codes, types and finish reasons, in lower case, that say that a request or its answer was turned down for its content.
constexpr std::array<std::string_view, 23> kDeclining = {"content_filter",
                                                         "content_filtered",
                                                         "contentfilter",
                                                         "content_policy_violation",
                                                         "content_blocked",
                                                         "moderation_blocked",
                                                         "prompt_blocked",
                                                         "refusal",
                                                         "responsibleaipolicyviolation",  // Azure
                                                         "invalid_prompt",                // OpenAI's reasoning models
                                                         "safety",                        // this and the next four: Gemini
                                                         "prohibited_content",
                                                         "blocklist",
                                                         "spii",
                                                         "recitation",
                                                         "data_inspection_failed",  // DashScope
                                                         "datainspectionfailed",
                                                         "sensitive",  // Zhipu
                                                         "1301",
                                                         "sensitivecontentdetected",  // Volcengine
                                                         "inputtextsensitivecontentdetected",
                                                         "outputtextsensitivecontentdetected",
                                                         "guardrail_intervened"};  // Bedrock

// The same in messages of services that give no code for it.
constexpr std::array<std::string_view, 9> kDecliningPhrases = {"content management policy",
                                                               "contentpolicyviolation",
                                                               "content_filter",
                                                               "content filter",
                                                               "input was flagged",
                                                               "prompt was flagged",
                                                               "safety system",
                                                               "content exists risk",
                                                               "content violates usage guidelines"};

constexpr std::array<std::string_view, 4> kUsedUp = {"insufficient_quota", "billing_hard_limit_reached", "billing_not_active",
                                                     "credit_balance_too_low"};

template <typename List>
bool lists(const List& list, const std::string& text) {
  return std::find(list.begin(), list.end(), lower_case(text)) != list.end();
}

// What a server says, fit for a message: one line, no control characters, not long.
std::string shown(const std::string& text) {
  return canonical(text.size() <= kLongestMessage ? text : text.substr(0, kLongestMessage) + "...");
}

const Json& member(const Json& json, const char* name) {
  static const Json kNothing;
  return json.is_object() && json.contains(name) ? json[name] : kNothing;
}

std::string text_or_number(const Json& json) {
  if (json.is_string()) return json.get<std::string>();
  return json.is_number_integer() ? json.dump() : "";
}

// An error as a server describes it: under "error", in a list of one, or as the body itself.
struct ServerError {
  std::vector<std::string> codes;
  std::string message = {};  // empty: the body is no description that is known, and may quote what was asked
  bool flagged = false;      // by a gateway's moderation
};

ServerError server_error(const Json& body) {
  const Json& whole = body.is_array() && body.size() == 1 ? body.front() : body;
  const Json& nested = member(whole, "error");
  const Json& error = nested.is_object() ? nested : whole;
  ServerError found;
  for (const auto* name : {"code", "type", "status"}) found.codes.push_back(text_or_number(member(error, name)));
  const Json& inner = member(error, "innererror").is_null() ? member(error, "inner_error") : member(error, "innererror");
  found.codes.push_back(text_or_number(member(inner, "code")));
  found.flagged = member(member(error, "metadata"), "flagged_input").is_string();
  for (const Json& message : {nested, member(error, "message"), member(error, "detail")}) {
    if (message.is_string()) found.message = message;
  }
  return found;
}

bool declines(long status, const ServerError& error) {
  if (status == 451 || error.flagged) return true;
  if (std::any_of(error.codes.begin(), error.codes.end(), [](const auto& code) { return lists(kDeclining, code); }))
    return true;
  const std::string message = lower_case(error.message);
  return (status == 200 || status == 400 || status == 403 || status == 422) &&
         std::any_of(kDecliningPhrases.begin(), kDecliningPhrases.end(),
                     [&](std::string_view phrase) { return message.find(phrase) != std::string::npos; });
}

bool may_pass(long status, const ServerError& error) {
  const bool used_up =
      std::any_of(error.codes.begin(), error.codes.end(), [](const auto& code) { return lists(kUsedUp, code); });
  return !used_up && (status == 200 || status == 408 || status == 425 || status == 429 || status >= 500);
}

Completion declined(const std::string& reason, const Json& usage = Json::object()) {
  return {Answer{"", usage, reason}, "", false};
}

Completion failed(long status, const ServerError& error, const std::string& body) {
  const std::string trouble =
      "HTTP status " + std::to_string(status) + ", " + shown(error.message.empty() ? body : error.message);
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
  if (lists(kDeclining, reason)) return declined("finish_reason " + shown(reason), usage);
  const Json& message = member(choice, "message");
  if (!message.is_object()) return malformed(body, "chat completion");
  if (const std::string refusal = refusal_of(message); !refusal.empty()) return declined("refusal " + shown(refusal), usage);
  const auto content = content_of(message);
  return content ? Completion{Answer{*content, usage, ""}, "", false} : malformed(body, "chat completion");
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
