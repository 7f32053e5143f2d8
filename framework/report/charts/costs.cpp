// What safety costs, and what it costs to remove it.
#include <algorithm>
#include <array>

#include "report/charts/chart.h"
#include "report/charts/chart_data.h"
#include "report/charts/row_plot.h"
#include "report/charts/svg.h"

namespace holdfast {
namespace {

constexpr double kBars = 150, kFigure = 56, kColumn = kBars + kFigure, kRatio = 60, kCostAbove = 30;

constexpr char kCostLayout[] = R"({
  "facet": {"column": {"field": "cost", "type": "nominal", "title": null,
    "sort": ["to align", "extra, for the defense", "to break"]}},
  "spec": {
    "width": 170,
    "encoding": {"y": {"field": "defense", "type": "nominal", "sort": null, "title": null}},
    "layer": [
      {"mark": "bar", "encoding": {"x": {"field": "amount", "type": "quantitative", "title": "UNIT"}}},
      {"mark": {"type": "text", "align": "left", "dx": 3}, "encoding": {"x": {"field": "amount", "type": "quantitative",
        "title": "UNIT"}, "text": {"field": "amount", "type": "quantitative", "format": ".3s"}}}
    ]
  }
})";

struct BarColumn {
  const char* name;
  std::optional<double> CostLine::*amount;
  const char* classes;
};
constexpr std::array<BarColumn, 3> kBarColumns = {{{"to align", &CostLine::align, "c-one c-bar"},
                                                   {"extra, for the defense", &CostLine::extra, "c-three c-bar"},
                                                   {"to break", &CostLine::to_break, "c-two c-bar"}}};

ChartData cost_data(const std::vector<CostLine>& lines) {
  ChartData data({{"defense"}, {"cost"}, {"amount", true}, {"unbroken"}, {"ratio", true}});
  for (const auto& line : lines) {
    for (const auto& column : kBarColumns)
      data.add({line.defense, column.name, line.*column.amount, line.unbroken, line.ratio});
  }
  return data;
}

Scale common_scale(const std::vector<CostLine>& lines) {
  std::vector<double> amounts;
  for (const auto& line : lines) {
    for (const auto& amount : {line.align, line.extra, line.to_break}) {
      if (amount) amounts.push_back(*amount);
    }
  }
  return scale_over(amounts, 0, kBars, false);
}

class CostBars {
 public:
  CostBars(const std::vector<CostLine>& lines, const RowPlot& rows) : lines_(lines), rows_(rows), scale_(common_scale(lines)) {}

  std::string draw(const std::string& unit, const std::string& id, const Chart& chart) {
    const double right = rows_.right();
    rows_.draw_rows(svg_, right);
    for (std::size_t i = 0; i < kBarColumns.size(); ++i) column(i);
    ratios(right);
    svg_.text(rows_.left(), rows_.bottom() + 18, "all bars on one scale, in " + unit, "c-muted");
    return svg_.document(right, rows_.bottom() + 26, id, chart.title, chart.about);
  }

 private:
  void column(std::size_t i) {
    const double left = rows_.left() + kColumn * static_cast<double>(i);
    svg_.text(left, rows_.top() - 8, kBarColumns[i].name, "c-strong");
    svg_.line(left, rows_.top(), left, rows_.bottom(), "c-axis");
    for (std::size_t row = 0; row < lines_.size(); ++row) {
      const auto& line = lines_[row];
      const std::optional<double> amount = line.*kBarColumns[i].amount;
      if (!amount) {
        const bool unbroken = kBarColumns[i].amount == &CostLine::to_break && !line.unbroken.empty();
        svg_.text(left + 4, rows_.y(row) + 4, unbroken ? line.unbroken : "-", "c-muted");
        continue;
      }
      svg_.rect(left, rows_.y(row) - 6, std::max(scale_(*amount), 1.0), 12, kBarColumns[i].classes);
      svg_.text(left + scale_(*amount) + 5, rows_.y(row) + 4, brief_number(*amount));
    }
  }

  void ratios(double right) {
    svg_.text(right - 4, rows_.top() - 8, "ratio", "c-strong c-end");
    for (std::size_t row = 0; row < lines_.size(); ++row) {
      const auto& ratio = lines_[row].ratio;
      svg_.text(right - 4, rows_.y(row) + 4, ratio ? brief_number(*ratio) : "-", "c-end");
    }
  }

  const std::vector<CostLine>& lines_;
  const RowPlot& rows_;
  Scale scale_;
  Svg svg_;
};

}  // namespace

std::optional<Chart> costs(const ChartSubject& subject, const std::string& unit, const std::vector<CostLine>& lines) {
  if (lines.empty()) return std::nullopt;
  Chart chart;
  chart.name = "cost";
  chart.title = subject.title + ": what safety costs, and what it costs to remove it";
  chart.about =
      "For each defense, in " + unit +
      ": to align the model, what the defense costs beside no defense, and the cheapest attack that broke it; ratio is "
      "what was paid for safety over what removes it.";
  const ChartData data = cost_data(lines);
  chart.csv = data.csv();
  chart.vega_lite = data.vega_lite(filled(kCostLayout, "UNIT", unit), chart.title, chart.about);
  std::vector<std::string> names;
  for (const auto& line : lines) names.push_back(line.defense);
  const RowPlot rows(names, kCostAbove, kColumn * kBarColumns.size() + kRatio);
  chart.svg = CostBars(lines, rows).draw(unit, subject.id + "-" + chart.name, chart);
  return chart;
}

}  // namespace holdfast
