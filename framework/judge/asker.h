// Asking a judge's own model: a local checkpoint, or an endpoint with its answers recorded.
#pragma once

#include <holdfast/judge.h>

#include <functional>
#include <vector>

#include "judge/answer.h"
#include "learn/language_model.h"

namespace holdfast {

/// Throws Error when the judge's model cannot take a question, with its answer, of so many tokens.
void check_fits(const LanguageModel& model, std::size_t tokens);

/// One answer a conversation, in order, as JudgeContext::ask says. `local` gives the local model, where that is asked.
std::vector<Answer> ask(const std::vector<Conversation>& conversations, const AskOptions& options,
                        const std::function<const LanguageModel&()>& local);

}  // namespace holdfast
