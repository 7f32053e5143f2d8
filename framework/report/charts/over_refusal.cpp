// What a defense costs an ordinary user in refusals.
#include <algorithm>
#include <cmath>
#include <utility>

#include "report/charts/chart.h"
#include "report/charts/chart_data.h"
#include "report/charts/row_plot.h"
#include "report/charts/svg.h"
#include "report/figures.h"
#include "report/metric_roles.h"

namespace holdfast {
namespace {

constexpr double kRefusalPlotWidth = 360, kFigureWidth = 92;
constexpr double kLeastScale = 0.2;  // of the axis, so that a few percent look like a few

constexpr char kRefusalLayout[] = R"({
  "width": 360,
  "encoding": {
    "y": {"field": "defense", "type": "nominal", "sort": null, "title": null},
    "yOffset": {"field": "metric", "type": "nominal"},
    "color": {"field": "metric", "type": "nominal", "title": null}
  },
  "layer": [
    {"mark": "rule", "encoding": {"x": {"field": "low", "type": "quantitative", "axis": {"format": ".0%"},
      "title": "refused without an attack"}, "x2": {"field": "high"}}},
    {"mark": {"type": "point", "filled": true, "size": 50}, "encoding": {"x": {"field": "refused", "type": "quantitative",
      "title": "refused without an attack"}, "shape": {"field": "metric", "type": "nominal", "title": null}}}
  ]
})";

std::vector<std::string> refusal_metrics(const ModelCells& board, const std::string& harm) {
  auto ids = price_metrics(board, harm);
  ids.erase(std::remove_if(ids.begin(), ids.end(), [](const std::string& id) { return !is_refusal(id); }), ids.end());
  return ids;
}

// A judge has one figure, or two: of ordinary requests, and of those that only sound unsafe.
void draw_mark(Svg& svg, double x, double y, std::size_t metric) {
  if (metric == 0) svg.circle(x, y, 3.5, "c-one");
  if (metric == 1) svg.diamond(x, y, 4.5, "c-two");
}

class OverRefusal {
 public:
  explicit OverRefusal(const ChartBoard& board)
      : board_(board.cells), subject_(board.subject), ids_(refusal_metrics(board.cells, board.harm)) {
    for (const auto& defense : board_.defenses()) {
      if (std::any_of(ids_.begin(), ids_.end(),
                      [&](const auto& id) { return board_.metric("none", defense, id) != nullptr; })) {
        defenses_.push_back(defense);
      }
    }
  }

  std::optional<Chart> chart() {
    if (defenses_.empty()) return std::nullopt;
    Chart chart;
    chart.name = "over-refusal";
    chart.title = subject_.title + ": refusals of ordinary requests";
    chart.about =
        "Without an attack: the share of requests that are harmless and were refused, in percent, with its 95 % interval; "
        "lower is "
        "better. over-refusal is of requests that sound unsafe and are not, refusal-benign of plain ones; the organism's judge "
        "takes both together.";
    ChartData data({{"defense"}, {"metric"}, {"refused", true}, {"low", true}, {"high", true}, {"n", true}});
    each([&](std::size_t row, std::size_t id, const PooledMetric& found) {
      data.add({defenses_[row], ids_[id], found.value, found.low, found.high, found.n});
    });
    chart.csv = data.csv();
    chart.vega_lite = data.vega_lite(kRefusalLayout, chart.title, chart.about);
    chart.svg = draw(chart);
    return chart;
  }

 private:
  template <typename Use>
  void each(const Use& use) const {
    for (std::size_t row = 0; row < defenses_.size(); ++row) {
      for (std::size_t id = 0; id < ids_.size(); ++id) {
        if (const auto* found = board_.metric("none", defenses_[row], ids_[id])) use(row, id, *found);
      }
    }
  }

  std::string draw(const Chart& chart) const {
    const auto metrics = static_cast<double>(ids_.size());
    const RowPlot rows(defenses_, 16 * metrics + 10, kRefusalPlotWidth);
    const double right = rows.right() + 8 + kFigureWidth * metrics;
    double most = kLeastScale;
    each([&](std::size_t, std::size_t, const PooledMetric& found) { most = std::max(most, found.high); });
    const Scale x(0, std::ceil(10 * most) / 10, rows.left(), rows.right());
    Svg svg;
    rows.draw_rows(svg, right);
    draw_x_axis(svg, x, rows.top(), rows.bottom(), AxisText::kPercent);
    svg.text(rows.right(), rows.bottom() + 30, "refused without an attack, %", "c-end");
    for (std::size_t id = 0; id < ids_.size(); ++id) {
      const double y = 16 * static_cast<double>(id) + 12;
      draw_mark(svg, rows.left() + 6, y - 4, id);
      svg.text(rows.left() + 16, y, ids_[id], "c-muted");
      if (ids_.size() > 1) draw_mark(svg, column(rows, id) - kFigureWidth + 14, rows.top() - 10, id);
    }
    each([&](std::size_t row, std::size_t id, const PooledMetric& found) {
      const double y = rows.y(row) + (ids_.size() == 1 ? 0 : id == 0 ? -3.5 : 3.5);
      svg.line(x(found.low), y, x(found.high), y, id == 0 ? "c-one c-thin" : "c-two c-thin");
      draw_mark(svg, x(found.value), y, id);
      svg.text(column(rows, id), rows.y(row) + 4, with_interval(ids_[id], found), "c-end");
    });
    return svg.document(right, rows.bottom() + 36, subject_.id + "-" + chart.name, chart.title, chart.about);
  }

  static double column(const RowPlot& rows, std::size_t id) {
    return rows.right() + kFigureWidth * (static_cast<double>(id) + 1);
  }

  const ModelCells& board_;
  const ChartSubject& subject_;
  std::vector<std::string> ids_, defenses_;
};

}  // namespace

std::optional<Chart> over_refusal(const ChartBoard& board) { return OverRefusal(board).chart(); }

}  // namespace holdfast
