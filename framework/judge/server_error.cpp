#include "judge/server_error.h"

#include <holdfast/judge.h>

#include <algorithm>
#include <array>
#include <string_view>

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

}  // namespace

bool names_declining(const std::string& code) { return lists(kDeclining, code); }

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

std::string trouble_text(long status, const ServerError& error, const std::string& body) {
  return "HTTP status " + std::to_string(status) + ", " + shown(error.message.empty() ? body : error.message);
}

}  // namespace holdfast
