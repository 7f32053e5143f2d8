// Utility tasks: rows of a task file, and how each is scored.
//
// A row names its "metric":
//   exact-match      prompt, answer (or answers): the reply equals one of them, but for case, surrounding white space and
//   punctuation;
//                    with extract = "last-number" the last number of the reply is compared
//   rouge-l          prompt, answer: ROUGE-L F1 (Lin 2004) of the reply's words against the answer's
//   multiple-choice  prompt, choices, answer (the index of the right one, from 0): the choice with the highest log-likelihood
//   per
//                    character is the right one (lm-eval's acc_norm)
//   perplexity       prompt, completion: nats a token of the completion; the metric is their exponential
// The first two look at generated replies, so serve stages count; the others are measured on the weights. Metric ids are
// "utility.<task>" and "perplexity.<task>".
#pragma once

#include <holdfast/judge.h>

#include <string>
#include <vector>

#include "learn/language_model.h"

namespace holdfast {

/// The tag "metric" of a row is one of the two that are measured on weights.
bool is_measured(const Example& row);

/// Throws Error with what is missing or wrong in a task row: an unknown metric, no answer, fewer than two choices, an answer
/// that is no index, no completion.
void check_task(const Example& row);

/// Verdicts of measured rows, in order. Rows are batched by tokens.
std::vector<Verdict> measure_tasks(const Dataset& rows, const LanguageModel& model);

/// F1 of the longest common subsequence of the words ([a-z0-9]+, lower case) of two texts; 0 when either has none.
double rouge_l(const std::string& reply, const std::string& reference);

}  // namespace holdfast
