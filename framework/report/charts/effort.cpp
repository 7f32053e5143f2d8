// What an attacker reached with how much effort: a small panel for each defense on common axes, for bands of many lines in one
// panel hide each other.
#include <algorithm>
#include <utility>

#include "report/charts/chart.h"
#include "report/charts/chart_data.h"
#include "report/charts/scale.h"
#include "report/charts/svg.h"

namespace holdfast {
namespace {

constexpr double kPanelWidth = 190, kPanelHeight = 104, kGapX = 18, kGapY = 34, kPanelsLeft = 34, kPanelsTop = 44;
constexpr std::size_t kAcross = 4;
constexpr std::size_t kDotted = 16;  // lines of so many points show them

constexpr char kEffortLayout[] = R"({
  "facet": {"field": "defense", "type": "nominal", "sort": "DEFENSES", "title": null}, "columns": 4,
  "spec": {
    "width": 170, "height": 100,
    "encoding": {"x": {"field": "EFFORT", "type": "quantitative", "title": "EFFORT"}},
    "layer": [
      {"mark": {"type": "area", "opacity": 0.25}, "encoding": {"y": {"field": "low", "type": "quantitative",
        "title": "most harm found", "axis": {"format": ".0%"}, "scale": {"domain": [0, 1]}}, "y2": {"field": "high"}}},
      {"mark": {"type": "line", "point": true}, "encoding": {"y": {"field": "harm", "type": "quantitative",
        "title": "most harm found"}}}
    ]
  }
})";

struct EffortLine {
  std::string defense;
  std::vector<EffortPoint> points;
};

class Effort {
 public:
  Effort(const ChartSubject& subject, const SweepEffort& effort, std::string unit,
         std::vector<EffortPoint> EffortCurve::*points)
      : subject_(subject), sweep_(effort.sweep), unit_(std::move(unit)) {
    for (const auto& curve : effort.curves) {
      if (!(curve.*points).empty()) lines_.push_back({curve.defense, curve.*points});
    }
    const auto none = std::find_if(lines_.begin(), lines_.end(), [](const EffortLine& line) { return line.defense == "none"; });
    if (none != lines_.end()) undefended_ = *none;
  }

  std::optional<Chart> chart() {
    if (lines_.empty()) return std::nullopt;
    Chart chart;
    chart.name = "effort-" + safe_name(sweep_) + "-" + unit_;
    chart.title = subject_.title + ": " + sweep_ + ", harm against " + unit_;
    chart.about =
        "The most " + subject_.harm + " that an attacker has found after so many " + unit_ + " of " + sweep_ +
        ", in percent: the mean over all orders of his tries and, shaded, 95 % of them, a panel a defense; the dashed "
        "line is the undefended model's.";
    ChartData data({{"sweep"}, {"defense"}, {unit_, true}, {"harm", true}, {"low", true}, {"high", true}});
    for (const auto& line : lines_) {
      for (const auto& point : line.points) data.add({sweep_, line.defense, point.spent, point.found, point.low, point.high});
    }
    chart.csv = data.csv();
    Json defenses = Json::array();
    for (const auto& line : lines_) defenses.push_back(line.defense);
    chart.vega_lite =
        data.vega_lite(filled(filled(kEffortLayout, "EFFORT", unit_), "DEFENSES", defenses), chart.title, chart.about);
    chart.svg = draw(subject_.id + "-" + chart.name, chart);
    return chart;
  }

 private:
  std::string draw(const std::string& id, const Chart& chart) const {
    std::vector<double> efforts;
    for (const auto& line : lines_) {
      for (const auto& point : line.points) efforts.push_back(point.spent);
    }
    const std::size_t across = std::min(kAcross, lines_.size());
    const std::size_t down = (lines_.size() + across - 1) / across;
    Svg svg;
    svg.text(0, 12, "most " + subject_.harm + " found, %");
    for (std::size_t i = 0; i < lines_.size(); ++i) {
      const double left = kPanelsLeft + (kPanelWidth + kGapX) * static_cast<double>(i % across);
      const double top = kPanelsTop + (kPanelHeight + kGapY) * static_cast<double>(i / across);
      const Scale x = scale_over(efforts, left, left + kPanelWidth, true);
      const Scale y(0, 1, top + kPanelHeight, top);
      const bool lowest = i + across >= lines_.size();
      panel(svg, lines_[i], x, y, i % across == 0, lowest);
    }
    const double width = kPanelsLeft + (kPanelWidth + kGapX) * static_cast<double>(across);
    const double bottom = kPanelsTop + (kPanelHeight + kGapY) * static_cast<double>(down);
    svg.text(width - kGapX, bottom + 10, unit_, "c-end");
    return svg.document(width, bottom + 16, id, chart.title, chart.about);
  }

  // Figures stand at the axes of the first column and of the last panel of each.
  void panel(Svg& svg, const EffortLine& line, const Scale& x, const Scale& y, bool leftmost, bool lowest) const {
    draw_x_axis(svg, x, y.to(), y.from(), AxisText::kPlain, 4, lowest);
    draw_y_axis(svg, y, x.from(), x.to(), AxisText::kPercent, 2, leftmost);
    const bool none = line.defense == "none";
    svg.text(x.from(), y.to() - 6, none ? "none (undefended)" : shortened_label(line.defense, 28), "c-strong");
    svg.path(path_around(points(line, x, y, &EffortPoint::high), points(line, x, y, &EffortPoint::low)),
             none ? "c-two c-area" : "c-one c-area");
    if (!none && undefended_)
      svg.path(path_through(points(*undefended_, x, y, &EffortPoint::found)), "c-two c-thin c-line c-dash");
    const auto means = points(line, x, y, &EffortPoint::found);
    svg.path(path_through(means), none ? "c-two c-line" : "c-one c-line");
    if (means.size() > kDotted) return;
    std::string dots;
    for (const auto& point : means) dots += path_through({point}) + "h0";
    svg.path(dots, none ? "c-two c-dots" : "c-one c-dots");
  }

  std::vector<PlotPoint> points(const EffortLine& line, const Scale& x, const Scale& y, double EffortPoint::*part) const {
    std::vector<PlotPoint> found;
    for (const auto& point : line.points) found.push_back({x(point.spent), y(point.*part)});
    return found;
  }

  ChartSubject subject_;
  std::string sweep_, unit_;
  std::vector<EffortLine> lines_;
  std::optional<EffortLine> undefended_;
};

}  // namespace

std::optional<Chart> effort_by_tries(const ChartSubject& subject, const SweepEffort& effort) {
  return Effort(subject, effort, "tries", &EffortCurve::by_tries).chart();
}

std::optional<Chart> effort_by_seconds(const ChartSubject& subject, const SweepEffort& effort) {
  return Effort(subject, effort, "seconds", &EffortCurve::by_seconds).chart();
}

}  // namespace holdfast
