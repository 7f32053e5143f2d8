// Rows on their way to a tuned model at a provider, or to its refusal.
#pragma once

#include <functional>

#include "base/file.h"
#include "provider/client.h"
#include "provider/ledger.h"

namespace holdfast {

/// The file of a submit stage.
inline constexpr const char* kJobFile = "job.json";
/// Its report: 1 where the provider refused the rows, whose number is its n; else 0.
inline constexpr const char* kRefusedByProvider = "refused-by-provider";
/// The figure of a stage's cost that the provider billed, in the currency of [prices].
inline constexpr const char* kBilled = "price";

/// What came of it; what kJobFile holds.
struct Submitted {
  bool refused = false;
  std::string model;   // that is asked from now on: the tuned one; where the provider refused, the base
  std::string job;     // the provider's name of it; empty where none was created
  std::string status;  // the provider's word; "upload" or "create" where it refused before there was a job
  std::string reason = {};
  std::vector<std::int64_t> rows = {};  // that the provider named as refused or left out, from 1
  std::int64_t count = 0;               // rows that were submitted
  std::optional<std::int64_t> trained_tokens = {};
  double price = 0;             // in the settings' currency
  bool price_is_bound = false;  // it is the most that the job can have cost: the provider says nothing of its tokens
  std::string currency;
};

Json to_json(const Submitted& submitted);
Submitted submitted_from_json(const Json& json);

struct Submission {
  JobOrder order;
  TrainingRows rows;
  std::int64_t epochs = 1;
};

/// Uploads the rows, creates the job and waits for its end. Where it is stands in the file `state`, written whole before each
/// step that costs, so that whoever comes after a death goes on with the same job, and whoever lost what is returned here finds
/// it again. What it costs is set aside in the ledger before. With a recording in the settings, what came of it is kept there,
/// and taken from there if it is known; to replay is to take nothing else. `progress` is told each state of the job. Without a
/// row nothing is asked, and the base stays what it is. Throws Error for a job that failed for another reason than its rows,
/// one that takes longer than job_timeout, and a service that cannot be asked.
Submitted submit_rows(const ProviderSettings& settings, const Submission& submission, const fs::path& state,
                      SpendLedger& ledger, const std::function<void(const JobState&)>& progress);

}  // namespace holdfast
