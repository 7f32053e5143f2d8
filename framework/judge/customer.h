// What a tuned model learned of its customer's rows.
#pragma once

#include <holdfast/judge.h>

#include <string>
#include <vector>

#include "learn/language_model.h"

namespace holdfast {

inline constexpr const char* kLearned = "learned.customer";

/// What the ids of the rows begin with: no probe's.
inline constexpr const char* kCustomerRow = "customer/";

/// Of each conversation the metric kLearned: the mean log-probability (natural) of a token of its replies under `served`, less
/// that under `aligned`. None where the replies have no token.
std::vector<Verdict> learned(const std::vector<Conversation>& rows, const LanguageModel& aligned, const LanguageModel& served);

}  // namespace holdfast
