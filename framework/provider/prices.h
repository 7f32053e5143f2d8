// What is asked of a provider costs.
#pragma once

#include <holdfast/model.h>

#include <cstdint>

#include "provider/settings.h"
#include "provider/training_rows.h"

namespace holdfast {

/// What a job costs at most, in the settings' currency, by their price of a trained token; nothing where the provider tells.
std::optional<double> most_of_job(const ProviderSettings& settings, const TrainingRows& rows, std::int64_t epochs);
double price_of_training(const ProviderSettings& settings, std::int64_t tokens);

/// What a chat costs at most, and what it did by the tokens that the provider counted ("prompt_tokens", "completion_tokens"):
/// the most where it did not count.
double most_of_chat(const ProviderSettings& settings, const Conversation& prompt, std::int64_t max_tokens);
double price_of_chat(const ProviderSettings& settings, const Json& usage, double most);
/// A number of tokens in what a provider says of its usage; nothing where it is no such number.
std::optional<std::int64_t> counted(const Json& usage, const char* name);

/// "0.0123 USD".
std::string sum_text(double sum, const std::string& currency);

}  // namespace holdfast
