#include "report/model_table.h"

#include <algorithm>
#include <array>
#include <set>
#include <string_view>

#include "report/effect_tables.h"
#include "report/effort.h"
#include "report/figures.h"
#include "report/metric_roles.h"
#include "report/ranking.h"

namespace holdfast {
namespace {

constexpr std::string_view kPassesModeration = "passes-moderation.";
constexpr double kShown = 0.005;  // shares that round to at least one percent
constexpr std::array<const char*, 3> kOtherKinds = {"benign", "borderline", "task"};  // of probes, beside the harmful ones

std::string report_text(const PooledReport& report) {
  if (report.seeds == 0) return "not finite";
  if (report.unknown == 0) return fixed(report.value, 3);
  return fixed(report.value, 3) + " (not finite in " + std::to_string(report.unknown) + " of " +
         std::to_string(report.seeds + report.unknown) + " seeds)";
}

bool has_text_beside(const std::vector<TableCell>& row, const std::string& nothing) {
  return std::any_of(row.begin() + 1, row.end(),
                     [&](const TableCell& cell) { return cell.text != "-" && cell.text != nothing; });
}

// The tables whose rows are defenses.
class TableLayout {
 public:
  TableLayout(const ModelCells& cells, const std::string& harm, const Disqualified& disqualified)
      : price_(price_metrics(cells, harm)),
        ranking_(ranking_of(cells, harm, disqualified)),
        cells_(cells.by(harm, ranking_.counting())) {
    table_.title = cells.model() + (cells.threat_model() == "weights" ? ", weights in the attacker's hands" : "");
    table_.harm = harm;
  }

  ModelTable table() {
    add_header();
    for (const auto& standing : ranking_.standings()) add_row(standing);
    add_notes_on_places();
    table_.effects = harm_effect_table(cells_, table_.harm);
    table_.costs = price_effect_table(cells_, price_);
    add_efforts();
    add_passes();
    add_reports();
    return std::move(table_);
  }

 private:
  void add_header() {
    auto& header = table_.main.header;
    header = {"defense"};
    for (const auto& attack : cells_.attacks()) header.push_back(attack == "none" ? "no attack" : attack);
    table_.spread.header = table_.outcomes.header = table_.cut.header = header;
    for (const std::string kind : kOtherKinds) table_.cut.header.push_back(kind + ", no attack");
    for (const auto& id : price_) header.push_back(id);
    for (const auto* last : {"defender-rows", "seconds", "worst", "place"}) header.emplace_back(last);
  }

  void add_row(const Standing& standing) {
    const std::string& defense = standing.defense;
    add_main_row(standing);
    std::vector<TableCell> spread = {{defense}};
    std::vector<TableCell> outcomes = {{defense}};
    for (const auto& attack : cells_.attacks()) {
      const auto* found = cells_.metric(attack, defense, table_.harm);
      spread.push_back({found == nullptr ? "-" : percent(found->least) + " to " + percent(found->most)});
      outcomes.push_back({three_outcomes(attack, defense)});
    }
    table_.spread.rows.push_back(std::move(spread));
    if (has_text_beside(outcomes, "-")) table_.outcomes.rows.push_back(std::move(outcomes));
    add_cut_row(defense);
  }

  void add_main_row(const Standing& standing) {
    const std::string& defense = standing.defense;
    std::vector<TableCell> row = {{defense}};
    for (const auto& attack : cells_.attacks()) row.push_back(harm_cell(attack, defense));
    for (const auto& id : price_) {
      const auto* found = cells_.metric("none", defense, id);
      row.push_back({(found == nullptr ? "-" : with_interval(id, *found)) + unknown_note("none", defense, id)});
    }
    row.push_back({std::to_string(defender_rows(defense))});
    row.push_back({fixed(mean_seconds(defense), 1)});
    row.push_back({standing.worst ? percent_interval(*standing.worst) : "-"});
    row.push_back({place_text(standing)});
    table_.main.rows.push_back(std::move(row));
  }

  // Only of a defense that has such replies.
  void add_cut_row(const std::string& defense) {
    std::vector<TableCell> row = {{defense}};
    for (const auto& attack : cells_.attacks()) row.push_back({cut_and_unanswered(attack, defense, "harmful")});
    for (const auto* kind : kOtherKinds) row.push_back({cut_and_unanswered("none", defense, kind)});
    if (has_text_beside(row, "0 / 0")) table_.cut.rows.push_back(std::move(row));
  }

  std::string cut_and_unanswered(const std::string& attack, const std::string& defense, const std::string& kind) const {
    const auto cut = cells_.value(attack, defense, "cut." + kind);
    const auto unanswered = cells_.value(attack, defense, "unanswered." + kind);
    return cut && unanswered ? percent(*cut) + " / " + percent(*unanswered) : "-";
  }

  // " cut 40" where a share of the cell's replies is worth a word beside its figure.
  std::string with_share(const std::string& word, const std::string& attack, const std::string& defense,
                         const std::string& id) const {
    const auto share = cells_.value(attack, defense, id);
    return share && *share >= kShown ? " " + word + " " + percent(*share) : "";
  }

  std::string three_outcomes(const std::string& attack, const std::string& defense) const {
    const std::string judge = after_dot(table_.harm);
    std::string text;
    for (const std::string part : {"safe", "harmful", "incoherent"}) {
      const auto share = cells_.value(attack, defense, part + judge);
      if (!share) return "-";
      text += (text.empty() ? "" : " / ") + percent(*share);
    }
    return text;
  }

  TableCell harm_cell(const std::string& attack, const std::string& defense) {
    const auto* group = cells_.group(attack, defense);
    if (group == nullptr) return {"-"};
    std::string reference;  // of a sweep, to all tries that lack something
    for (const auto& each : cells_.tries(attack)) {
      if (const auto* cells = cells_.group(each, defense)) reference += note(*cells);
      reference += unknown_note(each, defense, table_.harm);
    }
    const auto* found = cells_.metric(attack, defense, table_.harm);
    if (group->ok == 0) return {(group->failed > 0 ? "failed" : "timeout") + reference};
    const std::string unjudged = with_share("unjudged", attack, defense, "unjudged" + after_dot(table_.harm));
    if (found == nullptr) return {"-" + unjudged + reference};
    TableCell cell{with_interval(table_.harm, *found)};
    if (!is_control(attack)) cell.mark = ranking_.mark(*found);
    const auto coherence = cells_.value(attack, defense, "coherence");
    if (coherence && *coherence < kCoherent) cell.text += " ~";
    if (!is_control(attack) && !ranking_.counts(group->attack, defense)) cell.text += " out";
    cell.text += with_share("cut", attack, defense, "cut.harmful") + unjudged + reference;
    return cell;
  }

  // " [2]" for cells that are not all there; the note says why.
  std::string note(const CellGroup& group) {
    const auto seeds = group.ok + group.failed + group.timeout;
    if (group.ok == seeds) return "";
    std::string text = group.defense + " x " + group.attack + ": " + std::to_string(seeds - group.ok) + " of " +
                       std::to_string(seeds) + " seeds without a result";
    for (const auto& message : group.messages) text += (&message == &group.messages.front() ? ": " : "; ") + message;
    return add_note(text);
  }

  // " [2]" for a figure that is not finite in some seeds.
  std::string unknown_note(const std::string& attack, const std::string& defense, const std::string& id) {
    const std::int64_t unknown = cells_.unknown_seeds(attack, defense, id);
    if (unknown == 0) return "";
    return add_note(defense + " x " + attack + ": " + id + " is not finite in " + std::to_string(unknown) + " of " +
                    std::to_string(cells_.group(attack, defense)->ok) + " seeds, which its figure leaves out");
  }

  std::string add_note(const std::string& text) {
    table_.notes.push_back(text);
    return " [" + std::to_string(table_.notes.size()) + "]";
  }

  void add_notes_on_places() {
    for (const auto& reason : ranking_.incomparable()) add_note("not comparable with the reference: " + reason);
    std::map<std::string, std::string> without;  // defenses by the reason why they have no class
    std::vector<std::string> reasons;
    for (const auto& standing : ranking_.standings()) {
      if (standing.reason.empty()) continue;
      std::string& defenses = without[standing.reason];
      if (defenses.empty()) reasons.push_back(standing.reason);
      defenses += (defenses.empty() ? (standing.place ? "no class: " : "no place: ") : "; ") + standing.defense;
    }
    for (const auto& reason : reasons) add_note(without[reason] + ", since " + reason);
    std::map<std::string, std::string> lost;  // by defense
    for (const auto& [cell, what] : ranking_.lost()) {
      std::string& cells = lost[cell.second];
      cells += (cells.empty() ? "" : "; ") + cell.first + " (" + what + ")";
    }
    for (const auto& [defense, cells] : lost) {
      table_.lost.push_back(defense + ": " + cells);
    }
  }

  std::int64_t defender_rows(const std::string& defense) const {
    std::int64_t rows = 0;
    for (const auto& attack : cells_.attacks()) {
      if (const auto* group = cells_.group(attack, defense)) rows = std::max(rows, group->defender_rows);
    }
    return rows;
  }

  double mean_seconds(const std::string& defense) const {
    double sum = 0;
    int groups = 0;
    for (const auto& attack : cells_.attacks()) {
      if (const auto* group = cells_.group(attack, defense)) {
        sum += group->seconds;
        ++groups;
      }
    }
    return groups == 0 ? 0 : sum / groups;
  }

  void add_efforts() {
    for (const auto& effort : efforts(cells_, table_.harm, ranking_.counting())) {
      table_.efforts.push_back({effort.sweep, effort_table(effort)});
    }
  }

  // Of the rows that attacks submit to the undefended model.
  void add_passes() {
    std::set<std::string> moderators;
    const auto reports = [&](const std::string& attack) {
      const auto* group = cells_.group(attack, "none");
      return group == nullptr ? std::map<std::string, PooledReport>() : group->reports;
    };
    for (const auto& attack : cells_.attacks()) {
      for (const auto& [name, report] : reports(attack)) {
        if (name.starts_with(kPassesModeration)) moderators.insert(name);
      }
    }
    table_.passes.header = {"attack"};
    for (const auto& moderator : moderators) table_.passes.header.push_back(moderator.substr(kPassesModeration.size()));
    for (const auto& attack : cells_.attacks()) {
      std::vector<TableCell> row = {{attack}};
      const auto said = reports(attack);
      for (const auto& moderator : moderators) {
        const auto found = said.find(moderator);
        row.push_back({found == said.end() || found->second.seeds == 0 ? "-" : percent(found->second.value)});
      }
      if (has_text_beside(row, "-")) table_.passes.rows.push_back(std::move(row));
    }
  }

  void add_reports() {
    for (const auto& defense : cells_.defenses()) {
      for (const auto& attack : cells_.attacks()) {
        const auto* group = cells_.group(attack, defense);
        if (group == nullptr || group->reports.empty()) continue;
        std::string line = defense + " x " + attack + ":";
        for (const auto& [name, report] : group->reports) line += " " + name + " " + report_text(report) + ";";
        line.pop_back();
        table_.reports.push_back(line);
      }
    }
  }

  std::vector<std::string> price_;
  const Ranking& ranking_;
  const ModelCells cells_;
  ModelTable table_;
};

}  // namespace

ModelTable model_table(const ModelCells& cells, const std::string& harm, const Disqualified& disqualified) {
  return TableLayout(cells, harm, disqualified).table();
}

std::string place_text(const Standing& standing) {
  if (!standing.place) return "-";
  const auto& [low, high] = *standing.place;
  const std::string places = low == high ? std::to_string(low) : std::to_string(low) + "-" + std::to_string(high);
  return standing.tie_class > 0 ? places : "(" + places + ")";
}

std::string numbered_note(const ModelTable& table, std::size_t i) {
  return "[" + std::to_string(i + 1) + "] " + table.notes[i];
}

}  // namespace holdfast
