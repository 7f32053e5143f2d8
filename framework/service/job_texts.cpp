#include "service/job_texts.h"

#include <cmath>
#include <sstream>

namespace holdfast {
namespace {

constexpr std::size_t kMostPoints = 1000;

JobEvent metrics(std::int64_t step, std::int64_t steps, const Json& loss) {
  std::ostringstream text;
  text.precision(4);
  text << "Step " << step << "/" << steps << ": training loss=";
  if (loss.is_number()) {
    text << loss.get<double>();
  } else {
    text << "not finite";
  }
  return {.type = "metrics", .message = text.str(), .data = {{"step", step}, {"total_steps", steps}, {"train_loss", loss}}};
}

Json finite_or_null(double value) { return std::isfinite(value) ? Json(value) : Json(); }

}  // namespace

std::string tuned_name(const JobRecord& job, const std::string& organization) {
  const std::string own = job.id.substr(job.id.find('-') + 1);
  return "ft:" + job.ordered.tuning.offer + ":" + organization + ":" + job.ordered.suffix + ":" + own;
}

JobEvent screened_event(const ScreenedRows& rows) {
  return {.level = "warn",
          .message = std::to_string(rows.dropped.size()) + " of the " + std::to_string(rows.submitted) +
                     " rows of the training file were not taken",
          .data = {{"rows", rows.dropped}}};
}

std::optional<JobEvent> metrics_of_progress(const Json& progress) {
  const auto is_number = [&](const char* name) { return progress.contains(name) && progress.at(name).is_number(); };
  if (!progress.is_object() || !is_number("done") || !is_number("total") || !is_number("loss")) return std::nullopt;
  const auto step = progress.at("done").get<std::int64_t>();
  if (step < 1) return std::nullopt;
  return metrics(step, progress.at("total").get<std::int64_t>(), finite_or_null(progress.at("loss").get<double>()));
}

JobEvent metrics_of_point(const CurvePoint& point, std::int64_t steps) {
  return metrics(point.step, steps, finite_or_null(point.loss));
}

std::vector<CurvePoint> thinned(const std::vector<CurvePoint>& curve) {
  if (curve.size() <= kMostPoints) return curve;
  std::vector<CurvePoint> points;
  for (std::size_t i = 1; i <= kMostPoints; ++i) points.push_back(curve[i * curve.size() / kMostPoints - 1]);
  return points;
}

std::string curve_csv(const std::vector<CurvePoint>& curve) {
  std::string text = "step,train_loss\n";
  for (const auto& point : curve) {
    text += std::to_string(point.step) + "," + (std::isfinite(point.loss) ? Json(point.loss).dump() : "") + "\n";
  }
  return text;
}

ApiError no_rows_left() {
  return {.message = "the training file cannot be used: none of its rows was accepted",
          .param = "training_file",
          .code = "invalid_training_file"};
}

ApiError failure_of(std::string message, const JobRecord& job, const Files& files) {
  const std::string place = files.content({.digest = job.ordered.tuning.rows.digest}).string();
  for (auto at = message.find(place); at != std::string::npos; at = message.find(place, at)) {
    message.replace(at, place.size(), job.ordered.filename);
    at += job.ordered.filename.size();
  }
  return {.message = std::move(message), .code = "training_failed"};
}

}  // namespace holdfast
