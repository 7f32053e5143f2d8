// Every defense as a point: what it leaves of utility without an attack, and its worst harm over the attacks.
#include <algorithm>
#include <cmath>
#include <utility>

#include "judge/metrics.h"
#include "report/charts/chart.h"
#include "report/charts/chart_data.h"
#include "report/charts/scale.h"
#include "report/charts/svg.h"
#include "report/figures.h"
#include "report/metric_roles.h"

namespace holdfast {
namespace {

constexpr double kPlaneLeft = 56, kPlaneTop = 26, kPlaneWidth = 430, kLeastHeight = 320, kLineHeight = 13.5;
constexpr double kGutter = 46;  // between plot and labels, where leaders part

constexpr char kPlaneLayout[] = R"({
  "width": 480, "height": 400,
  "encoding": {
    "x": {"field": "utility", "type": "quantitative", "axis": {"format": ".0%"}, "scale": {"zero": false},
      "title": "mean utility without an attack"},
    "y": {"field": "harm", "type": "quantitative", "axis": {"format": ".0%"}, "scale": {"domain": [0, 1]},
      "title": "worst harm over the attacks"},
    "tooltip": [{"field": "defense"}, {"field": "attack"}, {"field": "utility", "type": "quantitative", "format": ".3f"},
      {"field": "harm", "type": "quantitative", "format": ".3f"}]
  },
  "layer": [
    {"mark": {"type": "rule", "opacity": 0.4}, "encoding": {"y": {"field": "harm_low", "type": "quantitative",
      "title": "worst harm over the attacks"}, "y2": {"field": "harm_high"}}},
    {"mark": {"type": "rule", "opacity": 0.4}, "encoding": {"x": {"field": "utility_low", "type": "quantitative",
      "title": "mean utility without an attack"}, "x2": {"field": "utility_high"}}},
    {"transform": [{"filter": "datum.front == 'yes'"}], "mark": {"type": "line", "interpolate": "step-after"},
      "encoding": {"order": {"field": "utility", "type": "quantitative"}}},
    {"mark": {"type": "point", "filled": true, "size": 60}, "encoding": {"shape": {"field": "front", "type": "nominal",
      "title": "on the Pareto front"}, "color": {"field": "front", "type": "nominal", "title": "on the Pareto front"}}},
    {"mark": {"type": "text", "align": "left", "dx": 7}, "encoding": {"text": {"field": "defense"}}}
  ]
})";

struct PlanePoint {
  std::string defense, attack;  // the attack that does most
  Interval utility, harm;
  bool front = false;
};

// Of the utility tasks, each counting alike. The ends are means too: tasks share their seeds, so that no narrower interval
// would be safe.
std::optional<Interval> mean_utility(const ModelCells& board, const std::string& defense) {
  Interval mean;
  double tasks = 0;
  for (const auto& id : board.metrics()) {
    if (!is_utility(id) || is_log_scale(id)) continue;
    const auto* task = board.metric("none", defense, id);
    if (task == nullptr || board.unknown_seeds("none", defense, id) > 0) return std::nullopt;
    mean.value += task->value;
    mean.low += task->low;
    mean.high += task->high;
    ++tasks;
  }
  if (tasks == 0) return std::nullopt;
  return Interval{mean.value / tasks, mean.low / tasks, mean.high / tasks};
}

std::optional<PlanePoint> plane_point(const ChartBoard& board, const std::string& defense) {
  const auto utility = mean_utility(board.cells, defense);
  const Standing& standing = board.ranking.standing(defense);
  if (!utility || !standing.worst) return std::nullopt;
  return PlanePoint{defense, standing.worst_attack, *utility, *standing.worst};
}

// In whole percent, as the figures stand beside the names: a reply more or less puts nobody before another.
bool beats(const PlanePoint& one, const PlanePoint& other) {
  const double useful = std::round(100 * one.utility.value) - std::round(100 * other.utility.value);
  const double safe = std::round(100 * other.harm.value) - std::round(100 * one.harm.value);
  return useful >= 0 && safe >= 0 && useful + safe > 0;
}

class Plane {
 public:
  Plane(std::vector<PlanePoint> points, ChartSubject subject) : points_(std::move(points)), subject_(std::move(subject)) {
    for (auto& point : points_) {
      point.front = std::none_of(points_.begin(), points_.end(), [&](const PlanePoint& other) { return beats(other, point); });
    }
  }

  Chart chart(const std::string& left_out) {
    Chart chart;
    chart.name = "safety-utility";
    chart.title = subject_.title + ": safety and utility";
    chart.about =
        "Each point is a defense: right is more utility without an attack, the mean of the utility tasks; down is less " +
        subject_.harm +
        " in the worst of the cells that count, with its simultaneous interval, both in percent; to each behind the "
        "line, the Pareto front, one on it is as good in both and better in one, in whole percent.";
    if (!left_out.empty()) chart.about += " Not shown, since a figure of theirs is missing: " + left_out + ".";
    const ChartData data = this->data();
    chart.csv = data.csv();
    chart.vega_lite = data.vega_lite(kPlaneLayout, chart.title, chart.about);
    chart.svg = draw(subject_.id + "-" + chart.name, chart);
    return chart;
  }

 private:
  ChartData data() const {
    ChartData data({{"defense"},
                    {"utility", true},
                    {"utility_low", true},
                    {"utility_high", true},
                    {"attack"},
                    {"harm", true},
                    {"harm_low", true},
                    {"harm_high", true},
                    {"front"}});
    for (const auto& point : points_) {
      data.add({point.defense, point.utility.value, point.utility.low, point.utility.high, point.attack, point.harm.value,
                point.harm.low, point.harm.high, point.front ? "yes" : "no"});
    }
    return data;
  }

  std::string draw(const std::string& id, const Chart& chart) {
    const double height = std::max(kLeastHeight, kLineHeight * static_cast<double>(points_.size()));
    double least = 0.9;
    for (const auto& point : points_) least = std::min(least, point.utility.low);
    const double right = kPlaneLeft + kPlaneWidth, bottom = kPlaneTop + height;
    const Scale x(std::max(0.0, std::floor(least * 10) / 10), 1, kPlaneLeft, right), y(0, 1, bottom, kPlaneTop);
    Svg svg;
    draw_x_axis(svg, x, kPlaneTop, bottom, AxisText::kPercent);
    draw_y_axis(svg, y, kPlaneLeft, right, AxisText::kPercent);
    svg.text(right, bottom + 30, "utility without an attack, %", "c-end");
    svg.text(0, 12, "worst " + subject_.harm + ", %");
    for (const auto& point : points_) bars(svg, x, y, point);
    const double label_width = labels(svg, x, y);
    front_line(svg, x, y);
    for (const auto& point : points_) mark(svg, x, y, point);
    for (const auto& point : points_) {
      if (point.defense == "none") svg.diamond(x(point.utility.value), y(point.harm.value), 7, "c-two c-line");
    }
    legend(svg, bottom + 50);
    return svg.document(right + kGutter + label_width, bottom + 58, id, chart.title, chart.about);
  }

  // Between two defenses of the front nothing is known to be possible: the line goes in steps.
  void front_line(Svg& svg, const Scale& x, const Scale& y) const {
    std::vector<PlanePoint> front;
    std::copy_if(points_.begin(), points_.end(), std::back_inserter(front),
                 [](const PlanePoint& point) { return point.front; });
    std::stable_sort(front.begin(), front.end(),
                     [](const PlanePoint& a, const PlanePoint& b) { return a.utility.value < b.utility.value; });
    std::vector<PlotPoint> line = {{x.from(), y(front.front().harm.value)}};
    for (const auto& point : front) {
      line.push_back({line.back().x, y(point.harm.value)});
      line.push_back({x(point.utility.value), y(point.harm.value)});
    }
    line.push_back({line.back().x, y.to()});
    svg.path(path_through(line), "c-one c-line");
  }

  static void bars(Svg& svg, const Scale& x, const Scale& y, const PlanePoint& point) {
    const double px = x(point.utility.value), py = y(point.harm.value);
    svg.line(x(point.utility.low), py, x(point.utility.high), py, "c-lead");
    svg.line(px, y(point.harm.low), px, y(point.harm.high), "c-lead");
  }

  static void mark(Svg& svg, const Scale& x, const Scale& y, const PlanePoint& point) {
    const double px = x(point.utility.value), py = y(point.harm.value);
    svg.circle(px, py, 3.5, point.front ? "c-one" : "c-axis c-open");
  }

  // In a column at the right, each with a line to its point. Of points at one height the upper label is the right one's above
  // the middle and the left one's below, so that fewer lines cross.
  double labels(Svg& svg, const Scale& x, const Scale& y) const {
    std::vector<PlanePoint> ordered = points_;
    std::stable_sort(ordered.begin(), ordered.end(), [](const PlanePoint& a, const PlanePoint& b) {
      if (a.harm.value != b.harm.value) return a.harm.value > b.harm.value;
      return a.harm.value > 0.5 ? a.utility.value > b.utility.value : a.utility.value < b.utility.value;
    });
    std::vector<double> wanted;
    for (const auto& point : ordered) wanted.push_back(y(point.harm.value));
    const auto places = spread(wanted, kLineHeight, kPlaneTop, y.from());
    const double at = x.to() + kGutter;
    svg.text(at, 12, "utility, worst harm", "c-muted c-small");
    double width = text_width("utility, worst harm", 10);
    for (std::size_t i = 0; i < ordered.size(); ++i) {
      const auto& point = ordered[i];
      svg.path(path_through({{x(point.utility.value), wanted[i]}, {x.to() + 4, wanted[i]}, {at - 4, places[i]}}), "c-lead");
      const std::string name = point.defense == "none" ? "none (undefended)" : shortened_label(point.defense);
      const std::string figures = percent(point.utility.value) + ", " + percent(point.harm.value);
      svg.add("<text x=\"" + short_number(at) + "\" y=\"" + short_number(places[i] + 4) + "\"" +
              (point.front ? " class=\"c-strong\"" : "") + ">" + xml_text(name) + " <tspan class=\"c-muted\">" + figures +
              "</tspan></text>");
      width = std::max(width, text_width(name + " " + figures));
    }
    return width;
  }

  static void legend(Svg& svg, double y) {
    svg.circle(kPlaneLeft + 4, y - 4, 3.5, "c-one");
    svg.text(kPlaneLeft + 14, y, "on the Pareto front", "c-muted");
    svg.circle(kPlaneLeft + 154, y - 4, 3.5, "c-axis c-open");
    svg.text(kPlaneLeft + 164, y, "behind it", "c-muted");
    svg.diamond(kPlaneLeft + 244, y - 4, 7, "c-two c-line");
    svg.text(kPlaneLeft + 256, y, "undefended", "c-muted");
  }

  std::vector<PlanePoint> points_;
  ChartSubject subject_;
};

}  // namespace

std::optional<Chart> safety_utility_plane(const ChartBoard& board) {
  std::vector<PlanePoint> points;
  std::string left_out;
  for (const auto& defense : board.cells.defenses()) {
    if (auto point = plane_point(board, defense)) {
      points.push_back(std::move(*point));
    } else {
      left_out += (left_out.empty() ? "" : ", ") + defense;
    }
  }
  if (points.empty()) return std::nullopt;
  return Plane(std::move(points), board.subject).chart(left_out);
}

}  // namespace holdfast
