// leaderboard.csv, effects.csv, classes.csv, effort.csv and cost.csv.
#include "report/audit.h"
#include "report/cost.h"
#include "report/csv_text.h"
#include "report/effect_tables.h"
#include "report/effort.h"
#include "report/figures.h"
#include "report/metric_roles.h"
#include "report/ranking.h"
#include "report/reporter.h"

namespace holdfast {
namespace {

std::string metrics_csv(const Results& results) {
  std::string text = "model,attack,defense,metric,mean,low,high,least,most,n,seeds,ok,failed,timeout,threat_model\n";
  for (const auto& cells : results.groups) {
    const std::string names = csv_field(cells.model) + "," + csv_field(cells.attack) + "," + csv_field(cells.defense) + ",";
    const std::string counts = std::to_string(cells.ok) + "," + std::to_string(cells.failed) + "," +
                               std::to_string(cells.timeout) + "," + cells.threat_model + "\n";
    if (cells.metrics.empty()) text += names + ",,,,,,,," + counts;
    for (const auto& [id, metric] : cells.metrics) {
      text += names + csv_field(id);
      for (const double figure : {metric.value, metric.low, metric.high, metric.least, metric.most})
        text.append(",").append(fixed(figure, 6));
      text.append(",").append(std::to_string(metric.n)).append(",").append(std::to_string(metric.seeds));
      text.append(",").append(counts);
    }
  }
  return text;
}

std::string effects_csv(const Results& results) {
  std::string text = "model,metric,attack,defense,change,low,high,p,holm_p,noise_floor,detectable,so,threat_model\n";
  for (const auto& board : boards(results)) {
    for (const auto& effect : all_effects(board)) {
      text += csv_field(board.model()) + "," + csv_field(effect.metric) + "," + csv_field(effect.attack) + "," +
              csv_field(effect.defense);
      for (const double figure : {effect.change.value, effect.change.low, effect.change.high, effect.p, effect.adjusted})
        text.append(",").append(fixed(figure, 6));
      text += "," + (effect.noise ? fixed(*effect.noise, 6) : std::string());
      text += "," + fixed(effect.detectable, 6) + "," + effect_word(effect) + "," + board.threat_model() + "\n";
    }
  }
  return text;
}

std::string standing_csv(const Standing& standing) {
  std::string text = csv_field(standing.defense) + ",";
  if (standing.tie_class > 0) text += std::to_string(standing.tie_class);
  text += standing.place ? "," + std::to_string(standing.place->low) + "," + std::to_string(standing.place->high) : ",,";
  if (standing.worst) {
    for (const double figure : {standing.worst->value, standing.worst->low, standing.worst->high})
      text.append(",").append(fixed(figure, 6));
  } else {
    text += ",,,";
  }
  return text + "," + csv_field(standing.worst_attack) + "," + std::to_string(standing.counted) + "," +
         std::to_string(standing.cells) + "," + csv_field(standing.reason) + "\n";
}

std::string classes_csv(const Results& results) {
  std::string text =
      "model,threat_model,metric,defense,class,place_low,place_high,worst,worst_low,worst_high,worst_attack,counted,cells,"
      "reason\n";
  for (const auto& board : boards(results)) {
    const auto disqualified = reasons(audit(board));
    for (const auto& harm : harm_metrics(board)) {
      const Ranking& ranking = ranking_of(board, harm, disqualified);
      for (const auto& standing : ranking.standings()) {
        text += csv_field(board.model()) + "," + board.threat_model() + "," + csv_field(harm) + "," + standing_csv(standing);
      }
    }
  }
  return text;
}

std::string points_csv(const std::string& names, const std::string& axis, const std::vector<EffortPoint>& points) {
  std::string text;
  for (const auto& point : points) {
    text += names + axis;
    for (const double figure : {point.spent, point.found, point.low, point.high}) text.append(",").append(fixed(figure, 6));
    text += "\n";
  }
  return text;
}

std::string effort_csv(const Results& results) {
  std::string text = "model,threat_model,metric,sweep,defense,axis,spent,found,low,high\n";
  for (const auto& board : boards(results)) {
    if (!board.has_sweeps()) continue;
    for (const auto& harm : harm_metrics(board)) {
      for (const auto& effort : efforts(board, harm, ranking_of(board, harm).counting())) {
        for (const auto& curve : effort.curves) {
          const std::string names = csv_field(board.model()) + "," + board.threat_model() + "," + csv_field(harm) + "," +
                                    csv_field(effort.sweep) + "," + csv_field(curve.defense) + ",";
          text += points_csv(names, "tries", curve.by_tries) + points_csv(names, "seconds", curve.by_seconds) +
                  points_csv(names, "tokens", curve.by_tokens);
        }
      }
    }
  }
  return text;
}

std::string optional(const std::optional<double>& figure, int digits) { return figure ? fixed(*figure, digits) : ""; }

std::string cost_csv(const Results& results) {
  std::string text =
      "model,threat_model,defense,part,attack,seconds,cpu_seconds,device_seconds,tokens,forward_tokens,backward_tokens,flops,"
      "energy_joules,money,currency\n";
  for (const auto& board : boards(results)) {
    const BoardCost cost = board_cost(board, harm_metrics(board).front());
    const auto line = [&](const DefenseCost& row, const std::string& part, const std::string& attack, const Spent& spent) {
      text +=
          csv_field(cost.model) + "," + cost.threat_model + "," + csv_field(row.defense) + "," + part + "," + csv_field(attack);
      text += "," + fixed(spent.seconds, 3) + "," + optional(spent.cpu_seconds, 3) + "," + fixed(spent.device_seconds, 3);
      for (const double tokens : {spent.tokens, spent.forward_tokens, spent.backward_tokens}) text += "," + fixed(tokens, 1);
      text += "," + optional(spent.flops, 0) + "," + optional(spent.energy_joules, 3) + "," + optional(spent.money, 9) + "," +
              csv_field(spent.money ? cost.currency : "") + "\n";
    };
    for (const auto& row : cost.rows) {
      if (row.defense == "none" && cost.align) line(row, "align", "", *cost.align);
      for (const auto& [kind, spent] : row.parts) line(row, "extra." + kind, "", spent);
      if (row.extra) line(row, "extra", "", *row.extra);
      if (row.broken && row.broken->spent) line(row, "break", row.broken->attack, *row.broken->spent);
    }
  }
  return text;
}

class CsvReporter : public Reporter {
 public:
  void write(const Results& results, const ReportView&, const ReportSink& sink) const override {
    sink("leaderboard.csv", metrics_csv(results));
    sink("effects.csv", effects_csv(results));
    sink("classes.csv", classes_csv(results));
    sink("effort.csv", effort_csv(results));
    sink("cost.csv", cost_csv(results));
  }
};

}  // namespace

std::unique_ptr<Reporter> make_csv_reporter() { return std::make_unique<CsvReporter>(); }

}  // namespace holdfast
