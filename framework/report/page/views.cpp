#include "report/page/views.h"

#include <algorithm>

#include "judge/metrics.h"
#include "report/charts/chart.h"
#include "report/charts/chart_style.h"
#include "report/cost.h"
#include "report/figures.h"
#include "report/metric_roles.h"
#include "report/model_table.h"
#include "report/page/heat_table.h"
#include "report/page/markup.h"
#include "report/ranking.h"

namespace holdfast {
namespace {

std::string unit_after(const std::string& metric) { return is_log_scale(metric) || is_score(metric) ? "" : ", %"; }

// An interval as a line with its point, on a scale of 0 to 100.
std::string bar(const Interval& share) {
  return "<span class=bar style=\"--l:" + percent(share.low) + ";--v:" + percent(share.value) + ";--h:" + percent(share.high) +
         "\"></span>";
}

std::string place_row(const Standing& standing, const ModelCells& cells, bool begins) {
  std::string html = "\n<tr data-d=" + std::to_string(place_in(cells.defenses(), standing.defense)) + " class=\"" +
                     (begins ? "b " : "") + (standing.tie_class % 2 == 1 ? "e" : "") + "\"><td>" +
                     escaped(place_text(standing)) + "<th scope=row>" + escaped(standing.defense);
  if (standing.worst) {
    const ShownFigure shown = shown_figure(percent_interval(*standing.worst));
    html += "<td><b>" + escaped(shown.value) + "</b><small>" + escaped(shown.interval) + "</small><td>" + bar(*standing.worst);
  } else {
    html += "<td>-<td>";
  }
  return html + "<td>" + escaped(standing.worst_attack) + "<td>" + std::to_string(standing.counted) + " of " +
         std::to_string(standing.cells) + "<td>" + escaped(standing.reason);
}

std::string places_html(const Ranking& ranking, const ModelCells& cells, const std::string& harm) {
  std::string html =
      "<div class=scroll><table class=places><caption><span>Classes by the worst " + escaped(harm + unit_after(harm)) +
      "</span></caption><thead><tr><th scope=col>place<th scope=col>defense<th scope=col>worst case<th scope=col>its "
      "simultaneous interval, 0 to 100<th scope=col>under<th scope=col>cells that count<th scope=col>no place, "
      "since<tbody>";
  std::int64_t before = 0;
  for (const auto& standing : ranking.standings()) {
    if (standing.defense == "none") continue;
    html += place_row(standing, cells, standing.tie_class != before);
    before = standing.tie_class;
  }
  return html + "</table></div>\n";
}

std::string incomparable(const Ranking& ranking) {
  std::string html;
  for (const auto& reason : ranking.incomparable())
    html += "<p class=warning><b>Not comparable.</b> " + escaped(reason) + "</p>\n";
  return html;
}

std::string lead(const Ranking& ranking, const ModelCells& cells, const std::string& harm) {
  const PooledMetric* worst = nullptr;
  std::string by, text, first;
  for (const auto& attack : cells.attacks()) {
    const auto* found = is_control(attack) ? nullptr : cells.metric(attack, "none", harm);
    if (found == nullptr || (worst != nullptr && found->value <= worst->value)) continue;
    worst = found;
    by = attack;
  }
  if (const auto* control = cells.metric("none", "none", harm)) {
    text += "Undefended and unattacked, " + harm + " is " + with_interval(harm, *control) + ". ";
  }
  if (worst != nullptr) text += "The worst attack on it, " + by + ", brings it to " + with_interval(harm, *worst) + ". ";
  std::int64_t placed = 0, all = 0;
  for (const auto& standing : ranking.standings()) {
    all += standing.defense != "none" ? 1 : 0;
    placed += standing.tie_class > 0 ? 1 : 0;
    if (standing.tie_class == 1) first += (first.empty() ? "" : ", ") + standing.defense;
  }
  return text + std::to_string(placed) + " of " + std::to_string(all) + " defenses have a place" +
         (first.empty() ? "." : "; in the first class: " + first + ".");
}

std::string notes_html(const ModelTable& table) {
  if (table.notes.empty() && table.lost.empty()) return "";
  std::string html = "<ol class=notes>";
  for (const auto& note : table.notes) html += "<li>" + escaped(note);
  for (const auto& line : table.lost) html += "<li>Outside the utility bound, " + escaped(line);
  return folded("Notes: what is missing, and what does not count", html + "</ol>");
}

std::string other_tables(const ModelTable& table) {
  std::string html = html_table("What moderation lets pass of the rows that an attack submits, %", table.passes);
  html += folded("Safe / harmful / incoherent replies to harmful probes, %", html_table("", table.outcomes));
  html += folded("Replies that were cut / that end before any answer, %", html_table("", table.cut));
  return html;
}

// Charts that the page has as tables, and gives away only.
constexpr char kPlaces[] = "worst-case", kHeat[] = "heat-map", kCost[] = "cost";

std::string links(std::size_t chart) {
  std::string html = "<p class=data hidden>Take away:";
  for (const auto* kind : {"svg", "csv", "vl.json"}) {
    const std::string name = kind == std::string("vl.json") ? "Vega-Lite" : kind == std::string("svg") ? "SVG" : "CSV";
    html += "<button type=button data-chart=" + std::to_string(chart) + " data-kind=" + kind + ">" + name + "</button>";
  }
  return html + "</p>";
}

struct Figures {
  std::string of_places, of_heat, of_cost, others;
  Json data = Json::array();
};

Figures figures_of(const ModelCells& cells, const std::string& harm, const Disqualified& disqualified) {
  Figures figures;
  const std::string subject = chart_subject(cells, harm).id;
  for (const auto& chart : charts(cells, harm, disqualified)) {
    const std::size_t place = figures.data.size();
    figures.data.push_back({{"name", subject + "-" + chart.name},
                            {"svg", chart_file(chart.svg)},
                            {"vl.json", chart.vega_lite}});  // its CSV is inside
    if (chart.name == kPlaces) {
      figures.of_places = links(place);
    } else if (chart.name == kHeat) {
      figures.of_heat = links(place);
    } else if (chart.name == kCost) {
      figures.of_cost = links(place);
    } else {
      figures.others += "<figure class=chart><figcaption><b>" + escaped(chart.title) + "</b>" + escaped(chart.about) +
                        "</figcaption><div class=scroll>" + chart.svg + "</div>" + links(place) + "</figure>\n";
    }
  }
  if (!figures.others.empty()) figures.others = "<div class=figures>\n" + figures.others + "</div>\n";
  return figures;
}

std::string effort_tables(const ModelTable& table) {
  std::string html;
  for (const auto& [sweep, effort] : table.efforts) {
    html += folded("Best harm found by the tries of " + sweep + ", %: mean over their orders, and 95 % of the orders",
                   html_table("", effort));
  }
  return html;
}

std::string costs_html(const ModelCells& cells, const std::string& harm) {
  const BoardCost cost = board_cost(cells, harm);
  return html_table("What safety costs to encode, and what it costs to break: harm above " + percent(cost.threshold) + " %",
                    cost_table(cost));
}

class Views {
 public:
  Views(const ModelCells& cells, const std::vector<DefenseEffect>& effects, const Disqualified& disqualified)
      : cells_(cells), effects_(effects), disqualified_(disqualified) {}

  MetricView harm_view(const std::string& harm) const {
    const Ranking& ranking = ranking_by(harm);
    const ModelCells cells = cells_.by(harm, ranking.counting());
    const ModelTable table = model_table(cells_, harm, disqualified_);
    const HeatTable heat{"Every attack on every defense: " + harm + unit_after(harm), harm, !unit_after(harm).empty(),
                         table.main, changes(harm)};
    Figures figures = figures_of(cells_, harm, disqualified_);
    return {harm, true,
            incomparable(ranking) + "<p class=lead>" + escaped(lead(ranking, cells, harm)) + "</p>\n" +
                places_html(ranking, cells, harm) + figures.of_places + html_of(heat, cells, ranking) + figures.of_heat +
                notes_html(table) + figures.others + other_tables(table) + effort_tables(table) + costs_html(cells, harm) +
                figures.of_cost,
            std::move(figures.data)};
  }

  MetricView other_view(const std::string& metric, const std::string& harm) const {
    TextTable figures{{"defense"}, {}};
    for (const auto& attack : cells_.attacks()) figures.header.push_back(attack == "none" ? "no attack" : attack);
    for (const auto& defense : cells_.defenses()) {
      auto& row = figures.rows.emplace_back();
      row.push_back({defense});
      for (const auto& attack : cells_.attacks()) {
        const auto* found = cells_.metric(attack, defense, metric);
        row.push_back({found == nullptr ? "-" : with_interval(metric, *found)});
      }
    }
    const HeatTable heat{"Under every attack: " + metric + unit_after(metric), metric, false, std::move(figures),
                         changes(metric)};
    return {metric, false, html_of(heat, cells_, ranking_by(harm)), Json::array()};
  }

 private:
  const Ranking& ranking_by(const std::string& harm) const { return ranking_of(cells_, harm, disqualified_); }

  std::map<std::pair<std::string, std::string>, std::string> changes(const std::string& metric) const {
    std::map<std::pair<std::string, std::string>, std::string> words;
    for (const auto& effect : effects_) {
      if (effect.metric == metric) words[{effect.attack, effect.defense}] = effect_word(effect);
    }
    return words;
  }

  const ModelCells& cells_;
  const std::vector<DefenseEffect>& effects_;
  const Disqualified& disqualified_;
};

}  // namespace

std::vector<MetricView> metric_views(const ModelCells& cells, const std::vector<DefenseEffect>& effects,
                                     const Disqualified& disqualified) {
  const Views views(cells, effects, disqualified);
  const auto harms = harm_metrics(cells);
  std::vector<MetricView> all;
  for (const auto& harm : harms) all.push_back(views.harm_view(harm));
  const auto prices = price_metrics(cells, harms.front());
  for (const auto& id : cells.metrics()) {
    const bool priced = std::find(prices.begin(), prices.end(), id) != prices.end();
    if (priced || is_score(id)) all.push_back(views.other_view(id, harms.front()));
  }
  return all;
}

}  // namespace holdfast
