// How likely a model is to begin its reply with a given text, without sampling.
#pragma once

#include <string>
#include <vector>

#include "learn/language_model.h"

namespace holdfast {

/// The prompt with the beginning of a reply, as the chat template renders them, without what ends the turn. Labels are the
/// tokens that the model has to produce to begin so. Throws Error when the template leaves none of the text.
Encoded begun_reply(const LanguageModel& model, const Conversation& prompt, const std::string& opening);

/// Mean log-probability (natural) of a token of each opening, in order. The prompt goes through the model once.
std::vector<double> mean_log_probs(const LanguageModel& model, const Conversation& prompt,
                                   const std::vector<std::string>& openings);

/// Two continuations of one prompt: what they have in common, and the token in which they part.
struct Fork {
  std::vector<std::int64_t> common;
  std::int64_t first = 0;
  std::int64_t second = 0;
};
/// Throws Error when one sequence begins with the other.
Fork fork_of(const std::vector<std::int64_t>& first, const std::vector<std::int64_t>& second);

/// Log-probabilities (natural) of the two tokens of each fork.
struct ForkLogProbs {
  double first = 0;
  double second = 0;
};
std::vector<ForkLogProbs> fork_log_probs(const LanguageModel& model, const std::vector<Fork>& forks);

}  // namespace holdfast
