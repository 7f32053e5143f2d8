#include "report/page/heat_table.h"

#include <algorithm>

#include "report/charts/chart_style.h"
#include "report/figures.h"
#include "report/model_table.h"
#include "report/page/markup.h"

namespace holdfast {
namespace {

// Of a column beside the attacks'.
std::string group_of(const std::string& column, const ModelCells& cells) {
  const auto& metrics = cells.metrics();
  return std::find(metrics.begin(), metrics.end(), column) == metrics.end() ? "cost and standing" : "without attack";
}

class Writer {
 public:
  Writer(const HeatTable& table, const ModelCells& cells, const Ranking& ranking)
      : table_(table), cells_(cells), ranking_(ranking) {
    for (const bool control : {true, false}) {
      for (std::size_t a = 0; a < cells.attacks().size(); ++a) {
        if (is_control(cells.attacks()[a]) == control) order_.push_back(a);
      }
    }
  }

  std::string html() {
    html_ = "<div class=scroll><table class=heat data-metric=\"" + escaped(table_.metric) + "\"><caption><span>" +
            escaped(table_.caption) + "</span></caption><thead>";
    add_groups();
    add_header();
    html_ += "<tbody>";
    std::int64_t before = 0;
    for (const auto& standing : ranking_.standings()) {
      add_row(standing, standing.tie_class != before);
      before = standing.tie_class;
    }
    return html_ + "</table></div>\n";
  }

 private:
  const std::vector<std::string>& header() const { return table_.figures.header; }
  std::size_t first_other() const { return 1 + cells_.attacks().size(); }

  void add_groups() {
    const auto controls = std::count_if(cells_.attacks().begin(), cells_.attacks().end(), is_control);
    const auto attacks = static_cast<std::ptrdiff_t>(cells_.attacks().size()) - controls;
    html_ += "<tr class=groups><th scope=col>";
    add_group("controls", controls);
    add_group("attacks", attacks);
    for (std::size_t i = first_other(); i < header().size();) {
      const std::string group = group_of(header()[i], cells_);
      std::ptrdiff_t span = 0;
      while (i < header().size() && group_of(header()[i], cells_) == group) ++span, ++i;
      add_group(group, span);
    }
  }

  void add_group(const std::string& name, std::ptrdiff_t span) {
    if (span > 0) html_ += "<th scope=colgroup colspan=" + std::to_string(span) + ">" + name;
  }

  void add_header() {
    html_ += "<tr class=names><th scope=col>defense";
    for (const auto a : order_) {
      const std::string& attack = cells_.attacks()[a];
      html_ += "<th scope=col data-a=" + std::to_string(a) + (is_control(attack) ? " class=c" : "") + "><span>" +
               escaped(header()[1 + a]) + "</span>";
    }
    for (std::size_t i = first_other(); i < header().size(); ++i)
      html_ += "<th scope=col class=o><span>" + escaped(header()[i]) + "</span>";
  }

  void add_row(const Standing& standing, bool begins) {
    const auto& rows = table_.figures.rows;
    const std::string& defense = standing.defense;
    const auto row = std::find_if(rows.begin(), rows.end(), [&](const auto& cells) { return cells.at(0).text == defense; });
    if (row == rows.end()) return;
    const bool undefended = defense == "none";
    html_ += "\n<tr data-d=" + std::to_string(place_in(cells_.defenses(), defense)) + " class=\"" +
             (undefended ? "u"
              : begins   ? "b"
                         : "") +
             "\"><th scope=row>" + escaped(undefended ? "none (undefended)" : defense);
    if (!undefended) html_ += "<i>" + escaped(place_text(standing)) + "</i>";
    for (const auto a : order_) add_cell(cells_.attacks()[a], defense, row->at(1 + a));
    for (std::size_t i = first_other(); i < row->size(); ++i) {
      const ShownFigure shown = shown_figure(row->at(i).text);
      html_ += "<td><b>" + escaped(shown.value) + "</b>" + small(shown);
    }
  }

  static std::string small(const ShownFigure& shown) {
    std::string text = escaped(shown.interval);
    if (!shown.flags.empty()) text += (text.empty() ? "" : " ") + escaped(shown.flags);
    return text.empty() ? "" : "<small>" + text + "</small>";
  }

  // "f": the column that begins the attacks, after the controls.
  std::string ground(const std::string& attack, const PooledMetric* harm) const {
    const auto first =
        std::find_if(order_.begin(), order_.end(), [&](std::size_t a) { return !is_control(cells_.attacks()[a]); });
    const std::string begins = first != order_.end() && cells_.attacks()[*first] == attack ? "f" : "";
    if (!table_.heat || harm == nullptr) return begins.empty() ? "" : " class=f";
    return " class=\"h" + std::to_string(step_of(harm->value)) + (begins.empty() ? "" : " f") +
           "\" style=\"--l:" + percent(harm->low) + ";--h:" + percent(harm->high) + "\"";
  }

  void add_cell(const std::string& attack, const std::string& defense, const TableCell& cell) {
    const auto* found = cells_.metric(attack, defense, table_.metric);
    const ShownFigure shown = shown_figure(cell.text);
    html_ += "<td";
    const auto* group = cells_.group(attack, defense);
    if (group != nullptr && group->attack != attack) html_ += " data-try=\"" + escaped(group->attack) + "\"";  // of a sweep
    html_ += ground(attack, found);
    html_ += "><b>" + escaped(shown.value) + "</b>" + signs(attack, defense, cell.mark) + small(shown);
  }

  // Said in letters and arrows, never by the ground alone.
  std::string signs(const std::string& attack, const std::string& defense, Mark mark) const {
    std::string text = mark == Mark::kHolds ? "+" : mark == Mark::kBroken ? "x" : "";
    const auto change = table_.changes.find({attack, defense});
    const std::string word = change == table_.changes.end() ? "" : change->second;
    text += word == "lower" ? "↓" : word == "higher" ? "↑" : word == "noise" ? "≈" : "";
    return text.empty() ? "" : "<i>" + text + "</i>";
  }

  const HeatTable& table_;
  const ModelCells& cells_;
  const Ranking& ranking_;
  std::vector<std::size_t> order_;  // places of the attacks, controls first
  std::string html_;
};

}  // namespace

std::size_t place_in(const std::vector<std::string>& names, const std::string& name) {
  return static_cast<std::size_t>(std::find(names.begin(), names.end(), name) - names.begin());
}

std::string html_of(const HeatTable& table, const ModelCells& cells, const Ranking& ranking) {
  return Writer(table, cells, ranking).html();
}

}  // namespace holdfast
