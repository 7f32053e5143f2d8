// What services say of jobs and files.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "provider/dialect.h"
#include "provider/settings.h"

namespace holdfast {

struct JobState {
  enum class Is { kUnderWay, kSucceeded, kRefused, kFailed };
  Is is = Is::kUnderWay;
  std::string id;
  std::string word;  // the provider's, for where it is
  std::string tuned_model = {};
  std::optional<std::int64_t> trained_tokens = {};
  std::optional<double> price = {};         // in the settings' currency
  std::string reason = {};                  // of a job that did not succeed
  std::vector<std::int64_t> left_out = {};  // rows that its events name, from 1
};

/// A job as its service describes it. Throws Error for a description that is none, a state that nobody knows, and a bill in
/// another currency than the settings'.
JobState read_job(const ProviderSettings& settings, const Json& job);

/// Why a job or a file is not taken: the first of these places that says something; of a list, its last item.
std::string first_reason(const Json& json, const std::vector<std::string>& places);
/// The numbers in lists called "rows", anywhere in a job's events; sorted, each once.
std::vector<std::int64_t> rows_named(const Json& events);
/// Nothing where no place holds an amount, or their sum is none that anybody bills.
std::optional<double> price_at(const Json& json, const std::vector<PricePart>& parts);
/// Throws Error where a service bills in another currency than that of the settings; an empty one is no other.
void check_currency(const ProviderSettings& settings, const std::string& bills);
bool lists(const std::vector<std::string>& words, const std::string& word);

}  // namespace holdfast
