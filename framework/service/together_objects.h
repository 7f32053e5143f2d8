// Jobs as Together's client reads them.
#pragma once

#include <string>
#include <vector>

#include "service/records.h"

namespace holdfast {

/// A job, as POST and GET of /v1/fine-tunes answer it. "total_price" counts billionths of the price table's currency.
Json together_job(const JobRecord& job, const FileRecord* file);
/// {"data": [...]}, oldest first, of those events that have a kind there.
Json together_events(const std::vector<JobEvent>& events);
/// {"data": [...]}: the final model, once there is one.
Json together_checkpoints(const JobRecord& job);
/// {"metrics": [{"step", "train_loss"}]}
Json together_metrics(const std::vector<JobEvent>& events);
/// What a model takes.
Json together_limits(const std::string& model, const TrainingOptions& usual);

}  // namespace holdfast
