// What judges share that holds no text and asks no model, and the one owner of their tables (learn/sdk.cpp).
#include <holdfast/judge.h>

#include "base/digest.h"
#include "judge/json_object.h"

namespace holdfast {

Asker::~Asker() = default;
JudgeContext::~JudgeContext() = default;

Judge::~Judge() = default;
JudgeNeeds Judge::needs() const { return {}; }

RuleJudge::~RuleJudge() = default;

std::vector<Verdict> RuleJudge::score(const std::vector<JudgedReply>& replies, JudgeContext&) const {
  std::vector<Verdict> verdicts;
  verdicts.reserve(replies.size());
  for (const auto& reply : replies) verdicts.push_back(judge(reply));
  return verdicts;
}

std::string JudgedReply::tag(const std::string& name) const {
  const auto found = tags.find(name);
  return found == tags.end() ? "" : found->second;
}

std::string read_judge_id(Params& params, const std::string& judge) {
  const std::string id =
      params.text("id", "", "added to this judge's metric ids, so that it can be used twice: asr." + judge + "-ID");
  static constexpr char kAllowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";
  if (id.find_first_not_of(kAllowed) != std::string::npos) {
    params.mistake("id", "the id " + in_quotes(id) + " holds more than letters, digits, '-', '_' and '.'");
  }
  return id.empty() ? judge : judge + "-" + id;
}

std::size_t read_max_characters(Params& params) {
  return static_cast<std::size_t>(
      params.integer("max_characters", 8000,
                     "longest request and longest reply that the model is shown, in characters; of a "
                     "longer one the middle is left out",
                     100, 10000000));
}

std::string rule_digest(const JsonObject& rule) { return sha256(canonical(to_json(rule))).substr(0, 8); }

}  // namespace holdfast
