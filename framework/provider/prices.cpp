#include "provider/prices.h"

#include <holdfast/error.h>

#include <cstdio>

namespace holdfast {
namespace {

constexpr double kMillion = 1e6;
constexpr std::int64_t kMostChatTokens = 1'000'000'000;  // of one chat

}  // namespace

double price_of_training(const ProviderSettings& settings, std::int64_t tokens) {
  HOLDFAST_CHECK(settings.training_price.has_value());
  return static_cast<double>(tokens) * *settings.training_price / kMillion;
}

std::optional<double> most_of_job(const ProviderSettings& settings, const TrainingRows& rows, std::int64_t epochs) {
  if (!settings.training_price) return std::nullopt;
  return price_of_training(settings, rows.tokens * epochs);
}

double most_of_chat(const ProviderSettings& settings, const Conversation& prompt, std::int64_t max_tokens) {
  return (static_cast<double>(most_tokens(prompt)) * settings.input_price +
          static_cast<double>(max_tokens) * settings.output_price) /
         kMillion;
}

std::optional<std::int64_t> counted(const Json& usage, const char* name) {
  if (!usage.is_object() || !usage.contains(name) || !usage[name].is_number_integer()) return std::nullopt;
  const auto count = usage[name].get<std::int64_t>();
  return count >= 0 && count <= kMostChatTokens ? std::optional(count) : std::nullopt;
}

double price_of_chat(const ProviderSettings& settings, const Json& usage, double most) {
  const auto prompt = counted(usage, "prompt_tokens"), reply = counted(usage, "completion_tokens");
  if (!prompt || !reply) return most;
  return (static_cast<double>(*prompt) * settings.input_price + static_cast<double>(*reply) * settings.output_price) / kMillion;
}

std::string sum_text(double sum, const std::string& currency) {
  char text[64];
  std::snprintf(text, sizeof text, "%.6g", sum);
  return std::string(text) + " " + currency;
}

}  // namespace holdfast
