#include "run/stage_failure.h"

#include "run/stage_graph.h"

namespace holdfast {
namespace {

std::string seconds_text(double seconds) {
  std::string text = Json(seconds).dump();
  if (text.ends_with(".0")) text.resize(text.size() - 2);
  return text + " s";
}

}  // namespace

std::optional<StageFailure> failure_of(const PlanNode& stage, const StageEnd& end) {
  const std::string where = stage_text(stage);
  if (const auto* failed = std::get_if<StageFailed>(&end)) return StageFailure{"failed", where + ": " + failed->message};
  if (const auto* died = std::get_if<WorkerDied>(&end)) {
    return StageFailure{"failed", "the worker " + died->how + " in " + where};
  }
  const auto* late = std::get_if<StageTimedOut>(&end);
  if (late == nullptr) return std::nullopt;
  return StageFailure{"timeout", where + " was stopped at its time limit of " + seconds_text(late->limit)};
}

}  // namespace holdfast
