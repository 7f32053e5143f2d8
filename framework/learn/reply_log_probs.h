// Log-likelihoods of given replies.
#pragma once

#include <vector>

#include "learn/language_model.h"

namespace holdfast {

/// Natural log-probabilities of the tokens of each conversation's assistant turns, without the token that ends a turn. Batched
/// by length; the order of the conversations is kept. A reply without tokens gives an empty list.
std::vector<std::vector<double>> reply_log_probs(const LanguageModel& model, const std::vector<Conversation>& conversations);

}  // namespace holdfast
