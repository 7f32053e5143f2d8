#include "judge/customer.h"

#include <numeric>

#include "learn/content_log_probs.h"

namespace holdfast {
namespace {

double mean(const std::vector<double>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

}  // namespace

std::vector<Verdict> learned(const std::vector<Conversation>& rows, const LanguageModel& aligned, const LanguageModel& served) {
  const auto before = content_log_probs(aligned, rows);
  const auto after = content_log_probs(served, rows);
  std::vector<Verdict> verdicts(rows.size());
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const auto tokens = static_cast<std::int64_t>(after[i].size());
    verdicts[i].raw = {{"tokens", tokens}};
    if (tokens == 0) continue;
    verdicts[i].outcomes[kLearned] = mean(after[i]) - mean(before[i]);
    verdicts[i].raw["aligned"] = mean(before[i]);
  }
  return verdicts;
}

}  // namespace holdfast
