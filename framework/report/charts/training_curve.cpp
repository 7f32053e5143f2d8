// A training's loss, as small as a line of text.
#include <algorithm>
#include <cmath>

#include "report/charts/chart.h"
#include "report/charts/scale.h"
#include "report/charts/svg.h"
#include "report/figures.h"

namespace holdfast {
namespace {

constexpr double kLossWidth = 160, kLossHeight = 36, kTextHeight = 14;
constexpr std::size_t kMost = 120;  // points that are drawn: of more, each part of the curve gives its first

std::vector<CurvePoint> thinned(const std::vector<CurvePoint>& curve) {
  std::vector<CurvePoint> finite, kept;
  std::copy_if(curve.begin(), curve.end(), std::back_inserter(finite),
               [](const CurvePoint& point) { return std::isfinite(point.loss); });
  if (finite.size() <= kMost) return finite;
  for (std::size_t i = 0; i + 1 < kMost; ++i) kept.push_back(finite[i * (finite.size() - 1) / (kMost - 1)]);
  kept.push_back(finite.back());
  return kept;
}

}  // namespace

std::string training_curve(const std::vector<CurvePoint>& curve, const std::string& id, const std::string& title) {
  const auto points = thinned(curve);
  if (points.size() < 2) return "";
  const auto [least, most] = std::minmax_element(points.begin(), points.end(),
                                                 [](const CurvePoint& a, const CurvePoint& b) { return a.loss < b.loss; });
  const Scale x(static_cast<double>(points.front().step), static_cast<double>(points.back().step), 3, kLossWidth - 3);
  const double span = std::max(most->loss - least->loss, 1e-9);
  const Scale y(least->loss, least->loss + span, kLossHeight - 3, 3);
  std::vector<PlotPoint> line;
  for (const auto& point : points) line.push_back({x(static_cast<double>(point.step)), y(point.loss)});
  const std::string first = fixed(points.front().loss, 2), last = fixed(points.back().loss, 2);
  const std::string steps = std::to_string(points.back().step);
  Svg svg;
  svg.path(path_through(line), "c-one c-thin c-line");
  svg.circle(line.back().x, line.back().y, 2, "c-one");
  svg.text(2, kLossHeight + kTextHeight - 4, first + " to " + last, "c-small");
  svg.text(kLossWidth - 2, kLossHeight + kTextHeight - 4, steps + " steps", "c-muted c-small c-end");
  return svg.document(
      kLossWidth, kLossHeight + kTextHeight, id, title,
      "The loss over " + steps + " steps of training, from " + first + " to " + last + " nats a learned token.");
}

}  // namespace holdfast
