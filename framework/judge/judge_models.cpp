#include "judge/judge_models.h"

#include "base/work_progress.h"
#include "learn/continuation.h"

namespace holdfast {

std::vector<double> JudgeModels::opening_log_probs(const Model& model, const Conversation& prompt,
                                                   const std::vector<std::string>& openings) {
  return mean_log_probs(language_model(model), prompt, openings);
}

void JudgeModels::progress(std::int64_t done, std::int64_t total) { tell_progress({"reply", done, total, 0, std::nullopt}); }

}  // namespace holdfast
