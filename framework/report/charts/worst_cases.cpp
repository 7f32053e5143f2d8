// The worst case of each defense, over bands that say which of them no difference tells apart.
#include <algorithm>

#include "report/charts/chart.h"
#include "report/charts/chart_data.h"
#include "report/charts/row_plot.h"
#include "report/charts/svg.h"
#include "report/figures.h"

namespace holdfast {
namespace {

constexpr double kWorstPlotWidth = 340, kWorstAbove = 24;
constexpr double kWorst = 96, kClass = 140, kPlace = 190;  // where the columns end, from the plot's right
constexpr std::size_t kReason = 60;                        // characters of a reason that are shown

constexpr char kWorstLayout[] = R"({
  "width": 400,
  "encoding": {"y": {"field": "defense", "type": "nominal", "sort": null, "title": null},
    "color": {"field": "class", "type": "ordinal", "title": "class"}},
  "layer": [
    {"mark": {"type": "rule", "strokeWidth": 2}, "encoding": {"x": {"field": "low", "type": "quantitative",
      "title": "worst harm over the attacks", "axis": {"format": ".0%"}, "scale": {"domain": [0, 1]}},
      "x2": {"field": "high"}}},
    {"mark": {"type": "point", "filled": true, "size": 60}, "encoding": {"x": {"field": "worst", "type": "quantitative",
      "title": "worst harm over the attacks"}}},
    {"mark": {"type": "text", "align": "left", "dx": 6, "dy": -7, "fontSize": 9}, "encoding": {
      "x": {"field": "worst", "type": "quantitative", "title": "worst harm over the attacks"}, "text": {"field": "place"}}}
  ]
})";

// Without the brackets of place_text: the class stands beside it.
std::string positions_text(const Standing& line) {
  if (!line.place) return "-";
  const std::string low = std::to_string(line.place->low);
  return line.place->low == line.place->high ? low : low + "-" + std::to_string(line.place->high);
}

// What stands beside a row that has no class.
std::string reason_text(const Standing& line) {
  return line.reason.empty() ? "" : "no class: " + shortened_label(line.reason, kReason);
}

std::string class_text(const Standing& line) { return line.tie_class == 0 ? "-" : std::to_string(line.tie_class); }

ChartData worst_case_data(const std::vector<Standing>& lines) {
  ChartData data({{"defense"}, {"worst", true}, {"low", true}, {"high", true}, {"attack"}, {"class"}, {"place"}, {"reason"}});
  for (const auto& line : lines) {
    const auto of = [&](double Interval::*part) { return line.worst ? std::optional(*line.worst.*part) : std::nullopt; };
    data.add({line.defense, of(&Interval::value), of(&Interval::low), of(&Interval::high), line.worst_attack, class_text(line),
              positions_text(line), line.reason});
  }
  return data;
}

// Every second class on a band, and a line between two.
void draw_classes(Svg& svg, const RowPlot& rows, const std::vector<Standing>& lines, double right) {
  for (std::size_t row = 0; row < lines.size(); ++row) {
    const double top = rows.y(row) - RowPlot::kHeight / 2;
    if (lines[row].tie_class % 2 == 1) svg.rect(0, top, right, RowPlot::kHeight, "c-band");
  }
}

void draw_class_borders(Svg& svg, const RowPlot& rows, const std::vector<Standing>& lines, double right) {
  for (std::size_t row = 1; row < lines.size(); ++row) {
    const double top = rows.y(row) - RowPlot::kHeight / 2;
    if (lines[row].tie_class != lines[row - 1].tie_class) svg.line(0, top, right, top, "c-axis");
  }
}

void draw_figures(Svg& svg, const RowPlot& rows, const std::vector<Standing>& lines, const std::string& harm) {
  const double at = rows.right();
  for (std::size_t row = 0; row < lines.size(); ++row) {
    const auto& line = lines[row];
    const double y = rows.y(row) + 4;
    if (line.worst) {
      PooledMetric pooled;
      pooled.value = line.worst->value;
      pooled.low = line.worst->low;
      pooled.high = line.worst->high;
      svg.text(at + kWorst, y, with_interval(harm, pooled), "c-end");
    }
    svg.text(at + kClass, y, class_text(line), "c-end");
    svg.text(at + kPlace, y, positions_text(line), "c-end c-strong");
    if (!line.reason.empty()) svg.text(at + kPlace + 12, y, reason_text(line), "c-muted");
  }
}

double widest_reason(const std::vector<Standing>& lines) {
  double width = 0;
  for (const auto& line : lines) width = std::max(width, text_width(reason_text(line)));
  return width == 0 ? 6 : width + 18;
}

std::string draw(const std::vector<Standing>& lines, const std::string& id, const Chart& chart, const std::string& harm) {
  std::vector<std::string> names;
  for (const auto& line : lines) names.push_back(line.defense);
  const RowPlot rows(names, kWorstAbove, kWorstPlotWidth);
  const double right = rows.right() + kPlace + widest_reason(lines);
  const Scale x(0, 1, rows.left(), rows.right());
  Svg svg;
  draw_classes(svg, rows, lines, right);
  rows.draw_rows(svg, right);
  draw_class_borders(svg, rows, lines, right);
  draw_x_axis(svg, x, rows.top(), rows.bottom(), AxisText::kPercent);
  svg.text(rows.right(), rows.bottom() + 30, "worst " + harm + " over the attacks, %", "c-end");
  for (const auto& [end, name] : {std::pair(kWorst, "worst"), std::pair(kClass, "class"), std::pair(kPlace, "place")}) {
    svg.text(rows.right() + end, rows.top() - 8, name, "c-muted c-small c-end");
  }
  for (std::size_t row = 0; row < lines.size(); ++row) {
    if (!lines[row].worst) continue;
    const double y = rows.y(row);
    svg.line(x(lines[row].worst->low), y, x(lines[row].worst->high), y, "c-one c-line");
    svg.circle(x(lines[row].worst->value), y, 4, lines[row].tie_class == 0 ? "c-axis c-open" : "c-one");
  }
  draw_figures(svg, rows, lines, harm);
  return svg.document(right, rows.bottom() + 36, id, chart.title, chart.about);
}

}  // namespace

std::optional<Chart> worst_cases(const ChartBoard& board) {
  const auto& lines = board.ranking.standings();
  const bool known = std::any_of(lines.begin(), lines.end(), [](const Standing& line) { return line.worst.has_value(); });
  if (!known) return std::nullopt;
  Chart chart;
  chart.name = "worst-case";
  chart.title = board.subject.title + ": worst case of each defense";
  chart.about =
      "The worst " + board.harm +
      " of the cells that count, in percent, with an interval that holds for all rows at once; defenses of one class, which "
      "share a band, cannot be told apart, and the place says which positions are possible.";
  const ChartData data = worst_case_data(lines);
  chart.csv = data.csv();
  chart.vega_lite = data.vega_lite(kWorstLayout, chart.title, chart.about);
  chart.svg = draw(lines, board.subject.id + "-" + chart.name, chart, board.harm);
  return chart;
}

}  // namespace holdfast
