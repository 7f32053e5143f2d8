#include "report/charts/chart.h"

#include <utility>

#include "report/charts/svg.h"
#include "report/cost.h"
#include "report/metric_roles.h"

namespace holdfast {

namespace {

// In money where the scenario has prices, else in operations, and in seconds where those were not counted.
std::string cost_unit(const BoardCost& cost) {
  if (!cost.currency.empty()) return cost.currency;
  const bool counted = cost.align && cost.align->flops;
  return counted ? "FLOPs" : "seconds";
}

std::optional<Chart> cost_picture(const ChartSubject& subject, const BoardCost& cost) {
  const std::string unit = cost_unit(cost);
  const auto amount = [&](const std::optional<Spent>& spent) -> std::optional<double> {
    if (!spent) return std::nullopt;
    return unit == "seconds" ? spent->seconds : unit == "FLOPs" ? spent->flops : spent->money;
  };
  std::vector<CostLine> lines;
  for (const auto& row : cost.rows) {
    const std::string unbroken = row.broken ? "" : row.measured ? "withstood" : "unknown";
    lines.push_back({row.defense, amount(cost.align), amount(row.extra), row.broken ? amount(row.broken->spent) : std::nullopt,
                     unbroken, cost.currency.empty() ? row.ratio : row.money_ratio});
  }
  return costs(subject, unit, lines);
}

}  // namespace

ChartSubject chart_subject(const ModelCells& board, const std::string& harm) {
  const bool weights = board.threat_model() == "weights";
  return {safe_name(board.model()) + (weights ? "_weights" : "") + "-" + safe_name(harm),
          board.model() + (weights ? ", weights in the attacker's hands" : ""), harm};
}

ChartBoard::ChartBoard(const ModelCells& board, const std::string& harm_metric, const Disqualified& disqualified)
    : harm(harm_metric),
      subject(chart_subject(board, harm)),
      ranking(ranking_of(board, harm, disqualified)),
      cells(board.by(harm, ranking.counting())) {}

std::vector<Chart> charts(const ModelCells& cells, const std::string& harm, const Disqualified& disqualified) {
  std::vector<Chart> all;
  if (harm.empty()) return all;
  const auto add = [&](std::optional<Chart> chart) {
    if (chart) all.push_back(std::move(*chart));
  };
  const ChartBoard board(cells, harm, disqualified);
  add(worst_cases(board));
  add(heat_map(board));
  add(safety_utility_plane(board));
  for (const auto& effort : efforts(cells, harm, board.ranking.counting())) {
    add(effort_by_tries(board.subject, effort));
    add(effort_by_seconds(board.subject, effort));
  }
  add(over_refusal(board));
  if (!cells.results().stages.empty()) add(cost_picture(board.subject, board_cost(cells, harm)));
  return all;
}

}  // namespace holdfast
