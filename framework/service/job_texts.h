// What is said of a job: events, failures, results, names.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "service/files.h"
#include "service/records.h"

namespace holdfast {

inline constexpr const char* kValidatedText = "Files validated, moving job to queued state";

/// "ft:<base>:<organization>:<suffix>:<the job's own letters>"
std::string tuned_name(const JobRecord& job, const std::string& organization);

/// Which rows were not taken: {"rows": [numbers from 1]}.
JobEvent screened_event(const ScreenedRows& rows);
/// What a training worker says on its way; nothing where it says no loss.
std::optional<JobEvent> metrics_of_progress(const Json& progress);
JobEvent metrics_of_point(const CurvePoint& point, std::int64_t steps);
/// At most 1000 points of a curve, at even distances, with the last.
std::vector<CurvePoint> thinned(const std::vector<CurvePoint>& curve);
/// "step,train_loss", all of it.
std::string curve_csv(const std::vector<CurvePoint>& curve);

/// What a provider says where screening took all rows, whether it names rows or not.
ApiError no_rows_left();
/// A failure as its customer may read it: with his file's name in the place of where it lies.
ApiError failure_of(std::string message, const JobRecord& job, const Files& files);

}  // namespace holdfast
