// Log-likelihoods of given replies.
#pragma once

#include <vector>

#include "learn/language_model.h"

namespace holdfast {

/// Of what was said, where Model::reply_log_probs is of all that a model had to write: natural log-probabilities of the tokens
/// of each conversation's assistant turns, without the token that ends a turn. Batched by length; the order of the
/// conversations is kept. A reply without tokens gives an empty list.
std::vector<std::vector<double>> content_log_probs(const LanguageModel& model, const std::vector<Conversation>& conversations);

}  // namespace holdfast
