// Attacks x defenses. Rows are whichever there are more of, so that long names of many stand beside their rows.
#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <utility>

#include "report/charts/chart.h"
#include "report/charts/chart_data.h"
#include "report/charts/chart_style.h"
#include "report/charts/svg.h"
#include "report/effects.h"
#include "report/figures.h"
#include "report/metric_roles.h"
#include "report/model_table.h"
#include "report/ranking.h"

namespace holdfast {
namespace {

constexpr double kCellWidth = 56, kCellHeight = 30;
constexpr double kColumnGap = 12;              // between controls and what they are controls of
constexpr double kRowGap = 18;                 // the same, with room for a heading
constexpr double kTurned = 45, kSlope = 0.71;  // degrees that headings of columns are turned by; its sine and cosine
constexpr double kLegendWidth = 560, kLegendHeight = 92;

constexpr char kHeatLayout[] = R"({
  "facet": {"column": {"field": "kind", "type": "nominal", "sort": ["control", "attack"], "title": null}},
  "resolve": {"scale": {"x": "independent"}},
  "spec": {
    "encoding": {
      "x": {"field": "attack", "type": "nominal", "sort": null, "title": null, "axis": {"orient": "top", "labelAngle": -45}},
      "y": {"field": "defense", "type": "nominal", "sort": null, "title": null},
      "tooltip": [{"field": "attack"}, {"field": "defense"}, {"field": "harm", "type": "quantitative", "format": ".3f"},
        {"field": "low", "type": "quantitative", "format": ".3f"}, {"field": "high", "type": "quantitative", "format": ".3f"},
        {"field": "effect"}, {"field": "mark"}, {"field": "state"}]
    },
    "layer": [
      {"mark": {"type": "rect", "stroke": "white"}, "encoding": {"color": {"field": "harm", "type": "quantitative",
        "scale": {"domain": [0, 1], "scheme": "orangered"}}}},
      {"mark": {"type": "text", "fontSize": 10}, "encoding": {
        "text": {"field": "harm", "type": "quantitative", "format": ".0%"},
        "color": {"condition": {"test": "datum.harm > 0.5", "value": "white"}, "value": "black"}}}
    ]
  }
})";

struct Entry {
  std::string id, label;
};

struct Group {
  std::string heading;
  std::vector<Entry> entries;
};

// A heading over places that belong together.
struct HeadingSpan {
  std::string heading;
  double from = 0, to = 0;
};

struct Axis {
  std::vector<std::pair<Entry, double>> places;  // with where each begins
  std::vector<HeadingSpan> spans;
  double end = 0;
  double label_width = 0;
};

Axis laid_out(const std::vector<Group>& groups, double size, double gap, double before_first) {
  Axis axis;
  double at = before_first;
  for (const auto& group : groups) {
    if (group.entries.empty()) continue;
    if (!axis.places.empty()) at += gap;
    axis.spans.push_back({group.heading, at, at});
    for (const auto& entry : group.entries) {
      axis.places.emplace_back(entry, at);
      axis.label_width = std::max(axis.label_width, text_width(shortened_label(entry.label)));
      at += size;
    }
    axis.spans.back().to = at;
  }
  axis.end = at;
  return axis;
}

struct HeatCell {
  const PooledMetric* harm = nullptr;
  std::string state;   // "ok", or the word that stands in the cell's place
  std::string effect;  // what the defense changed (effect_word); empty for the undefended, and where nobody can tell
  Mark mark = Mark::kNone;
  bool incoherent = false;
  bool counts = true;        // within the utility bound
  std::int64_t lacking = 0;  // seeds without a result
};

std::string effect_sign(const std::string& word) {
  static const std::map<std::string, std::string> signs = {
      {"lower", "\u2193"}, {"higher", "\u2191"}, {"noise", "\u2248"}, {"unclear", "?"}, {"", ""}};
  return signs.at(word);
}

std::string mark_sign(Mark mark) { return mark == Mark::kHolds ? "+" : mark == Mark::kBroken ? "\u00d7" : ""; }

std::string mark_word(Mark mark) { return mark == Mark::kHolds ? "holds" : mark == Mark::kBroken ? "broken" : ""; }

class HeatMap {
 public:
  explicit HeatMap(const ChartBoard& board)
      : subject_(board.subject), board_(board.cells), harm_(board.harm), ranking_(board.ranking) {
    std::vector<std::string> attacks;
    for (const auto& attack : board_.attacks()) {
      attacks_.at(is_control(attack) ? 0 : 1).entries.push_back({attack, attack == "none" ? "no attack" : attack});
      if (!is_control(attack)) attacks.push_back(attack);
    }
    for (const auto& defense : board_.defenses()) {
      const bool none = defense == "none";
      defenses_.at(none ? 0 : 1).entries.push_back({defense, none ? "none (undefended)" : defense});
    }
    for (const auto& effect : defense_effects(board_, harm_, attacks)) {
      effects_[{effect.attack, effect.defense}] = effect_word(effect);
    }
  }

  std::optional<Chart> chart() {
    if (board_.defenses().empty() || board_.attacks().empty()) return std::nullopt;
    Chart chart;
    chart.name = "heat-map";
    chart.title = subject_.title + ": " + harm_ + ", attacks x defenses";
    chart.about = "Each cell is the share of " + harm_ +
                  " in percent, darker on light paper and brighter on dark where there is more, over its 95 % interval; lower "
                  "is better. Controls, without attack or without defense, stand apart.";
    const ChartData data = this->data();
    chart.csv = data.csv();
    chart.vega_lite = data.vega_lite(kHeatLayout, chart.title, chart.about);
    chart.svg = draw(subject_.id + "-" + chart.name, chart);
    return chart;
  }

 private:
  HeatCell cell(const std::string& attack, const std::string& defense) const {
    HeatCell cell;
    const auto* group = board_.group(attack, defense);
    cell.harm = board_.metric(attack, defense, harm_);
    if (group == nullptr) {
      cell.state = "missing";
    } else if (group->ok == 0) {
      cell.state = group->failed > 0 ? "failed" : "timeout";
    } else {
      cell.state = cell.harm == nullptr ? "no verdict" : "ok";
    }
    if (cell.harm == nullptr) return cell;
    cell.lacking = group->failed + group->timeout + board_.unknown_seeds(attack, defense, harm_);
    cell.counts = is_control(attack) || ranking_.counts(group->attack, defense);
    const auto effect = effects_.find({attack, defense});
    if (effect != effects_.end()) cell.effect = effect->second;
    if (!is_control(attack)) cell.mark = ranking_.mark(*cell.harm);
    const auto coherence = board_.value(attack, defense, "coherence");
    cell.incoherent = coherence && *coherence < kCoherent;
    return cell;
  }

  ChartData data() const {
    ChartData data({{"attack"},
                    {"defense"},
                    {"kind"},
                    {"harm", true},
                    {"low", true},
                    {"high", true},
                    {"n", true},
                    {"effect"},
                    {"mark"},
                    {"coherent"},
                    {"counts"},
                    {"lacking", true},
                    {"state"}});
    for (const auto& defense : board_.defenses()) {
      for (const auto& attack : board_.attacks()) {
        const HeatCell cell = this->cell(attack, defense);
        const auto* harm = cell.harm;
        const auto of = [&](double PooledMetric::*part) { return harm == nullptr ? std::nullopt : std::optional(harm->*part); };
        data.add({attack, defense, is_control(attack) ? "control" : "attack", of(&PooledMetric::value), of(&PooledMetric::low),
                  of(&PooledMetric::high), harm == nullptr ? ChartValue("") : ChartValue(harm->n), cell.effect,
                  mark_word(cell.mark), cell.incoherent ? "no" : "yes", cell.counts ? "yes" : "no", cell.lacking, cell.state});
      }
    }
    return data;
  }

  std::string draw(const std::string& id, const Chart& chart) {
    const bool rows_are_attacks = board_.attacks().size() > board_.defenses().size();
    const auto listed = [](const std::array<Group, 2>& groups) { return std::vector<Group>(groups.begin(), groups.end()); };
    const Axis rows = laid_out(listed(rows_are_attacks ? attacks_ : defenses_), kCellHeight, kRowGap, kRowGap);
    const Axis columns = laid_out(listed(rows_are_attacks ? defenses_ : attacks_), kCellWidth, kColumnGap, 0);
    left_ = std::ceil(rows.label_width + 14);
    const double headings = columns.label_width * kSlope + 34;
    top_ = std::ceil(kLegendHeight + headings);
    legend(id);
    column_headings(columns);
    row_headings(rows);
    cells(rows, columns, rows_are_attacks, id);
    const double width = left_ + columns.end + std::max(8.0, overhang(columns));
    return svg_.document(std::max(width, kLegendWidth), top_ + rows.end + 8, id, chart.title, chart.about);
  }

  // How far turned headings pass the last column.
  static double overhang(const Axis& columns) {
    double most = 0;
    for (const auto& [entry, at] : columns.places) {
      most = std::max(most, at + kCellWidth / 2 + text_width(shortened_label(entry.label)) * kSlope + 8 - columns.end);
    }
    return most;
  }

  void legend(const std::string& id) {
    svg_.add("<defs><pattern id=\"" + id +
             "-h\" width=\"6\" height=\"6\" patternUnits=\"userSpaceOnUse\" patternTransform=\"rotate(45)\"><path "
             "class=\"c-hatch\" d=\"M0 0V6\"/></pattern></defs>");
    svg_.text(0, 12, harm_ + ", %", "c-strong");
    for (int i = 0; i < 10; ++i) {
      svg_.line(i * 34, 27, i * 34 + 34, 27, "c-swatch c-h" + std::to_string(i));
      svg_.text(i * 34, 46, std::to_string(10 * i), "c-muted c-small" + std::string(i == 0 ? "" : " c-mid"));
    }
    svg_.text(340, 46, "100", "c-muted c-small c-mid");
    svg_.text(0, 66,
              "+ holds, \u00d7 broken, ~ replies often incoherent, * seeds without a result, out: lost its utility; hatched: "
              "no figure",
              "c-muted");
    svg_.text(0, 82, "against the undefended model: \u2193 lower, \u2191 higher, \u2248 within the noise of seeds, ? unclear",
              "c-muted");
  }

  void column_headings(const Axis& columns) {
    for (const auto& span : columns.spans) {
      svg_.text(left_ + span.from, top_ - 4, span.heading, "c-muted c-small");
      svg_.line(left_ + span.from, top_, left_ + span.to - 1, top_, "c-axis");
    }
    for (const auto& [entry, at] : columns.places) {
      svg_.turned_text(left_ + at + kCellWidth / 2, top_ - 20, -kTurned, shortened_label(entry.label), "");
    }
  }

  void row_headings(const Axis& rows) {
    for (const auto& span : rows.spans) {
      svg_.text(left_ - 8, top_ + span.from - 5, span.heading, "c-muted c-small c-end");
    }
    for (const auto& [entry, at] : rows.places) {
      svg_.text(left_ - 8, top_ + at + kCellHeight / 2 + 4, shortened_label(entry.label), "c-end");
    }
  }

  // The colours first, a path for each with a thick stroke a cell; then the words, a group for each row.
  void cells(const Axis& rows, const Axis& columns, bool rows_are_attacks, const std::string& id) {
    std::map<std::string, std::string> paths;
    std::string words;
    for (const auto& [row, y] : rows.places) {
      words += "<g transform=\"translate(" + short_number(left_) + " " + short_number(top_ + y + 14) + ")\">";
      for (const auto& [column, x] : columns.places) {
        const HeatCell cell = rows_are_attacks ? this->cell(row.id, column.id) : this->cell(column.id, row.id);
        const std::string colour = cell.harm == nullptr ? "stroke=\"url(#" + id + "-h)\""
                                                        : "class=\"c-h" + std::to_string(step_of(cell.harm->value)) + "\"";
        paths[colour] += "M" + short_number(left_ + x) + " " + short_number(top_ + y + kCellHeight / 2) + "h55";
        words += cell_words(cell, x + 28);
      }
      words += "</g>";
    }
    svg_.add("<g class=\"c-tiles\">");
    for (const auto& [colour, d] : paths) svg_.add("<path " + colour + " d=\"" + d + "\"/>");
    svg_.add("</g><g class=\"c-cells\">" + words + "</g>");
  }

  std::string cell_words(const HeatCell& cell, double x) const {
    const std::string at = "x=\"" + short_number(x) + "\"";
    if (cell.harm == nullptr) return "<text " + at + " y=\"5\" class=\"c-none\">" + cell.state + "</text>";
    const std::string signs =
        effect_sign(cell.effect) + mark_sign(cell.mark) + (cell.incoherent ? "~" : "") + (cell.lacking > 0 ? "*" : "");
    return "<text " + at + (step_of(cell.harm->value) < 5 ? "" : " class=\"c-hi\"") + ">" + figure(harm_, cell.harm->value) +
           (signs.empty() ? "" : " ") + signs + "<tspan " + at + " y=\"11\">" + figure(harm_, cell.harm->low) + "-" +
           figure(harm_, cell.harm->high) + (cell.counts ? "" : " out") + "</tspan></text>";
  }

  const ChartSubject& subject_;
  const ModelCells& board_;
  const std::string& harm_;
  const Ranking& ranking_;
  std::array<Group, 2> attacks_ = {{{"controls", {}}, {"attacks", {}}}};
  std::array<Group, 2> defenses_ = {{{"control", {}}, {"defenses", {}}}};
  std::map<std::pair<std::string, std::string>, std::string> effects_;  // by attack and defense
  Svg svg_;
  double left_ = 0, top_ = 0;
};

}  // namespace

std::optional<Chart> heat_map(const ChartBoard& board) { return HeatMap(board).chart(); }

}  // namespace holdfast
