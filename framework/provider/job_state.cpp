#include "provider/job_state.h"

#include <holdfast/error.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "base/untrusted.h"
#include "judge/server_error.h"
#include "provider/templates.h"

namespace holdfast {
namespace {

constexpr std::size_t kMostDigits = 18;
constexpr double kMostTrainedTokens = 1e15;  // that anybody trains

void collect_rows(const Json& json, std::set<std::int64_t>& rows) {
  if (!json.is_structured()) return;
  if (json.is_object() && json.contains("rows") && json["rows"].is_array()) {
    for (const auto& row : json["rows"]) {
      if (row.is_number_integer()) rows.insert(row.get<std::int64_t>());
    }
  }
  for (const auto& part : json) collect_rows(part, rows);
}

}  // namespace

bool lists(const std::vector<std::string>& words, const std::string& word) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

std::vector<std::int64_t> rows_named(const Json& events) {
  std::set<std::int64_t> rows;
  collect_rows(events, rows);
  return {rows.begin(), rows.end()};
}

std::string first_reason(const Json& json, const std::vector<std::string>& places) {
  for (const auto& place : places) {
    const Json& found = at_place(json, place);
    if (found.is_string() && !found.get<std::string>().empty()) return shown(found.get<std::string>());
    if (!found.is_array() || found.empty()) continue;
    const std::string message = text_at(found.back(), "/message");
    return message.empty() ? in_short(found.back()) : shown(message);
  }
  return "no reason is given";
}

std::optional<double> price_at(const Json& json, const std::vector<PricePart>& parts) {
  std::optional<double> price;
  for (const auto& [place, unit] : parts) {
    const Json& part = at_place(json, place);
    if (part.is_number()) price = price.value_or(0) + part.get<double>() * unit;
    const std::string text = text_at(json, place);  // protobuf writes 64-bit integers as texts
    if (!text.empty() && text.size() <= kMostDigits && text.find_first_not_of("0123456789") == std::string::npos) {
      price = price.value_or(0) + std::stod(text) * unit;
    }
  }
  const bool possible = price && *price >= 0 && std::isfinite(*price);
  return possible ? price : std::nullopt;
}

void check_currency(const ProviderSettings& settings, const std::string& bills) {
  if (bills.empty() || bills == settings.currency) return;
  throw Error(described(settings) + " bills in " + in_quotes(bills) + ", and the spend_limit is in " +
              in_quotes(settings.currency) +
              ": set currency in [prices] to what it bills in, and the limit and prices with it");
}

JobState read_job(const ProviderSettings& settings, const Json& job) {
  const Dialect& spoken = dialect(settings.dialect);
  JobState state;
  const std::string id = text_at(job, spoken.job_id);
  state.id = id.substr(id.rfind('/') + 1);
  if (!is_plain_id(state.id)) throw Error(described(settings) + " gave a job without an id, " + in_short(job));
  state.word = text_at(job, spoken.status);
  state.tuned_model = text_at(job, spoken.tuned_model);
  if (const Json& tokens = at_place(job, spoken.trained_tokens); tokens.is_number()) {
    const double count = tokens.get<double>();
    if (count >= 0 && count < kMostTrainedTokens) state.trained_tokens = static_cast<std::int64_t>(count);
  }
  state.price = price_at(job, spoken.price);
  if (state.price)
    check_currency(settings, spoken.price_currency.empty() ? spoken.currency : text_at(job, spoken.price_currency));
  if (lists(spoken.waits, state.word)) return state;
  if (lists(spoken.succeeded, state.word)) {
    if (state.tuned_model.empty()) throw Error("the job " + state.id + " of " + settings.url + " names no tuned model");
    state.is = JobState::Is::kSucceeded;
    return state;
  }
  const bool refused = lists(spoken.refused, state.word);
  if (!refused && !lists(spoken.failed, state.word)) {
    throw Error("the job " + state.id + " of " + settings.url + " is " + in_quotes(state.word) +
                ", which is no state that the interface \"" + spoken.name + "\" is known to have");
  }
  state.reason = first_reason(job, spoken.reasons);
  const std::string code = text_or_number(at_place(job, spoken.error_code));
  const bool of_rows = lists(spoken.refusing_codes, code) || text_at(job, spoken.error_param) == "training_file" ||
                       declines(200, {{code}, state.reason});
  state.is = refused || of_rows ? JobState::Is::kRefused : JobState::Is::kFailed;
  return state;
}

}  // namespace holdfast
