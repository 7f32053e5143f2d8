// leaderboard.md.
#include <algorithm>
#include <utility>

#include "report/agreement_table.h"
#include "report/audit.h"
#include "report/cost.h"
#include "report/effect_tables.h"
#include "report/figures.h"
#include "report/legend.h"
#include "report/metric_roles.h"
#include "report/model_table.h"
#include "report/reporter.h"

namespace holdfast {
namespace {

// Safe inside a table.
std::string table_safe(const std::string& text) {
  std::string safe;
  for (const char c : text) {
    if (c == '|') safe += '\\';
    safe += c == '\n' ? ' ' : c;
  }
  return safe;
}

std::string markdown_row(const std::vector<TableCell>& row) {
  std::string line = "|";
  for (const auto& cell : row) {
    const std::string text = table_safe(marked(cell));
    line += cell.mark == Mark::kHolds ? " **" + text + "** |" : " " + text + " |";
  }
  return line + "\n";
}

std::vector<TableCell> header_row(const std::vector<std::string>& header) {
  std::vector<TableCell> row;
  for (const auto& text : header) row.push_back({text});
  return row;
}

std::string markdown_text(const TextTable& table) {
  std::string text = markdown_row(header_row(table.header)) + "|" + " --- |";
  for (std::size_t i = 1; i < table.header.size(); ++i) text += " ---: |";
  text += "\n";
  for (const auto& row : table.rows) text += markdown_row(row);
  return text;
}

bool several_seeds(const Results& results) {
  return std::any_of(results.groups.begin(), results.groups.end(), [](const CellGroup& cells) { return cells.ok > 1; });
}

std::string titled(const std::string& title, const TextTable& table) {
  return table.rows.empty() ? "" : "\n" + title + "\n\n" + markdown_text(table);
}

std::string markdown(const ModelTable& table, bool seeds) {
  std::string text = "\n## " + table_safe(table.title) + ": " + table.harm + " (%)\n\n" + markdown_text(table.main);
  for (std::size_t i = 0; i < table.notes.size(); ++i) text += "\n" + table_safe(numbered_note(table, i)) + "\n";
  if (!table.lost.empty()) text += "\nOutside the utility bound, so that they do not count:\n\n";
  for (const auto& line : table.lost) text += "- " + table_safe(line) + "\n";
  text += titled("What each defense changes, against the undefended model (points):", table.effects);
  for (const auto& [sweep, effort] : table.efforts) {
    text +=
        titled("Best harm found by the tries of " + sweep + " (%; mean over their orders, and 95 % of the orders):", effort);
  }
  text += titled("Safe / harmful / incoherent replies to harmful probes:", table.outcomes);
  text +=
      titled("Replies that max_new_tokens cut / that end within a thought, before any answer (%; harmful probes by attack):",
             table.cut);
  if (seeds) text += titled("Smallest to largest value of a seed:", table.spread);
  text += titled("What moderation lets pass of the rows that an attack submits (%):", table.passes);
  text += titled("What each defense costs without an attack (points; perplexities as differences of logarithms):", table.costs);
  return text;
}

std::string reports(const ModelTable& table) {
  std::string text = table.reports.empty() ? "" : "\nWhat stages report about themselves (means over seeds):\n\n";
  for (const auto& line : table.reports) text += "- " + table_safe(line) + "\n";
  return text;
}

std::string agreement_markdown(const ModelCells& cells) {
  std::string text =
      titled("Agreement of the judges on what is harmful (Cohen's kappa; replies to harmful probes of all cells):",
             agreement_table(cells.results(), cells.model()));
  const std::string line = false_refusals(cells.results(), cells.model());
  return line.empty() ? text : text + "\n" + line + "\n";
}

std::string findings_markdown(const std::vector<Finding>& found) {
  std::string text;
  for (const auto& finding : found) {
    text += "- " + table_safe(finding.defense + ": " + finding.rule + ": " + finding.sentence) + "\n";
  }
  return text.empty() ? text : "\nFindings, each of which costs a defense its place (docs/leaderboard.md):\n\n" + text;
}

std::string costs_markdown(const ModelCells& cells) {
  const BoardCost cost = board_cost(cells, harm_metrics(cells).front());
  return titled("What safety costs to encode, and what it costs to break (" + cost.harm + " above " + percent(cost.threshold) +
                    " %; docs/cost.md):",
                cost_table(cost));
}

std::string markdown(const ModelCells& cells, bool seeds) {
  const auto found = audit(cells);
  const auto disqualified = reasons(found);
  std::string text;
  std::string last;
  for (const auto& harm : harm_metrics(cells)) {
    const auto table = model_table(cells, harm, disqualified);
    text += markdown(table, seeds);
    last = reports(table);
  }
  for (const auto& scores : score_tables(cells)) {
    text += titled("Mean " + scores.metric + ":", scores.means);
    text += titled("What each defense changes of " + scores.metric + ":", scores.effects);
  }
  return text + costs_markdown(cells) + findings_markdown(found) + last;
}

class MarkdownReporter : public Reporter {
 public:
  void write(const Results& results, const ReportView&, const ReportSink& sink) const override {
    std::string text = "# Leaderboard\n";
    std::string model;
    bool weights = false;
    for (const auto& board : boards(results)) {
      weights = weights || board.threat_model() == "weights";
      text += markdown(board, several_seeds(results));
      if (board.model() != std::exchange(model, board.model())) text += agreement_markdown(board);  // of all its cells
    }
    text += "\n## How to read it\n\n";
    for (const auto& line : legend(weights, results.facts.board)) text += "- " + line + "\n";
    sink("leaderboard.md", text);
  }
};

}  // namespace

std::unique_ptr<Reporter> make_markdown_reporter() { return std::make_unique<MarkdownReporter>(); }

}  // namespace holdfast
