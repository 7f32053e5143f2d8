// What a run says of a stage that failed.
#pragma once

#include <optional>
#include <string>

#include "plan/plan.h"
#include "run/workers.h"

namespace holdfast {

struct StageFailure {
  std::string status;   // "failed" or "timeout"
  std::string message;  // which stage, and why
};

/// None where the stage did not fail: it is done, can be run again, or found a damaged artifact.
std::optional<StageFailure> failure_of(const PlanNode& stage, const StageEnd& end);

}  // namespace holdfast
