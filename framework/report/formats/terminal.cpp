// Tables for a terminal of about 100 columns.
#include <holdfast/error.h>

#include <algorithm>
#include <utility>

#include "base/suggest.h"
#include "report/agreement_table.h"
#include "report/audit.h"
#include "report/legend.h"
#include "report/metric_roles.h"
#include "report/model_table.h"
#include "report/reporter.h"
#include "report/story_text.h"

namespace holdfast {
namespace {

constexpr std::size_t kTerminalWidth = 100;
constexpr std::size_t kHeaderWidth = 12;

// A header in lines of at most kHeaderWidth characters, broken after - . @ and at spaces.
std::vector<std::string> header_lines(const std::string& header) {
  std::vector<std::string> lines = {""};
  std::string piece;
  const auto flush = [&] {
    if (!lines.back().empty() && lines.back().size() + piece.size() > kHeaderWidth) lines.push_back("");
    lines.back() += piece;
    piece.clear();
  };
  for (const char c : header) {
    piece += c;
    if (std::string("-.@ ").find(c) != std::string::npos) flush();
  }
  flush();
  return lines;
}

std::string padded(const std::string& text, std::size_t width, bool left) {
  const std::string space(width - std::min(width, shown_width(text)), ' ');
  return left ? text + space : space + text;
}

struct TerminalColumn {
  std::vector<std::string> header;
  std::size_t width = 0;
};

std::vector<TerminalColumn> columns_of(const TextTable& table) {
  std::vector<TerminalColumn> columns;
  for (std::size_t i = 0; i < table.header.size(); ++i) {
    TerminalColumn column{header_lines(table.header[i])};
    for (const auto& line : column.header) column.width = std::max(column.width, shown_width(line));
    for (const auto& row : table.rows) column.width = std::max(column.width, shown_width(marked(row[i])));
    columns.push_back(std::move(column));
  }
  return columns;
}

std::string coloured(const std::string& text, Mark mark, bool colour) {
  if (!colour || mark == Mark::kNone) return text;
  return (mark == Mark::kHolds ? "\x1b[32m" : "\x1b[31m") + text + "\x1b[0m";
}

// Columns [first, last) beside the first one.
std::string terminal_block(const TextTable& table, const std::vector<TerminalColumn>& columns, std::size_t first,
                           std::size_t last, bool colour) {
  std::vector<std::size_t> shown = {0};
  for (std::size_t i = first; i < last; ++i) shown.push_back(i);
  std::size_t header_height = 0;
  for (const auto i : shown) header_height = std::max(header_height, columns[i].header.size());
  std::string text;
  for (std::size_t line = 0; line < header_height; ++line) {
    for (const auto i : shown) {
      const auto missing = header_height - columns[i].header.size();
      const std::string piece = line < missing ? "" : columns[i].header[line - missing];
      text += (i == 0 ? "" : "  ") + padded(piece, columns[i].width, i == 0);
    }
    text += "\n";
  }
  for (const auto& row : table.rows) {
    for (const auto i : shown) {
      text += (i == 0 ? "" : "  ") + coloured(padded(marked(row[i]), columns[i].width, i == 0), row[i].mark, colour);
    }
    text += "\n";
  }
  return text + "\n";
}

// Columns side by side while they fit, then the next ones below with the first column again.
std::string terminal_text(const TextTable& table, bool colour) {
  const auto columns = columns_of(table);
  std::string text;
  std::size_t first = 1;
  while (first < columns.size()) {
    std::size_t last = first;
    std::size_t width = columns[0].width;
    while (last < columns.size() && (last == first || width + 2 + columns[last].width <= kTerminalWidth))
      width += 2 + columns[last++].width;
    text += terminal_block(table, columns, first, last, colour);
    first = last;
  }
  return text;
}

// A line broken at spaces, continued with two spaces.
std::string wrapped_line(const std::string& line) {
  std::string text;
  std::size_t column = 0;
  for (std::size_t start = 0; start < line.size();) {
    const auto end = std::min(line.find(' ', start), line.size());
    if (column > 0 && column + 1 + end - start > kTerminalWidth) {
      text += "\n  ";
      column = 2;
    } else if (column > 0) {
      text += ' ';
      ++column;
    }
    text += line.substr(start, end - start);
    column += end - start;
    start = end + 1;
  }
  return text + "\n";
}

// The terminal shows the p that holds over the table only.
TextTable without_p(TextTable table) {
  const auto p = std::find(table.header.begin(), table.header.end(), "p") - table.header.begin();
  table.header.erase(table.header.begin() + p);
  for (auto& row : table.rows) row.erase(row.begin() + p);
  return table;
}

std::string terminal(const ModelCells& cells, const std::string& harm, bool colour) {
  const auto table = model_table(cells, harm, reasons(audit(cells)));
  std::string text = table.title + ": " + table.harm + " (%)\n\n" + terminal_text(table.main, colour);
  for (std::size_t i = 0; i < table.notes.size(); ++i) text += wrapped_line(numbered_note(table, i));
  if (!table.lost.empty()) text += "out: leaderboard.md says what these cells have lost.\n";
  if (!table.notes.empty() || !table.lost.empty()) text += "\n";
  if (!table.effects.rows.empty())
    text += "against the undefended model (points)\n\n" + terminal_text(without_p(table.effects), colour);
  if (!table.passes.rows.empty())
    text += "what moderation lets pass of the rows that an attack submits (%)\n\n" + terminal_text(table.passes, colour);
  return text;
}

std::string agreement_text(const ModelCells& cells, bool colour) {
  std::string text;
  const auto agreements = agreement_table(cells.results(), cells.model());
  if (!agreements.rows.empty()) text += terminal_text(agreements, colour);
  const std::string line = false_refusals(cells.results(), cells.model());
  return line.empty() ? text : text + wrapped_line(line) + "\n";
}

// The metric that was asked for, or the model's first.
std::string chosen(const ModelCells& cells, const std::string& metric) {
  const auto known = harm_metrics(cells);
  if (metric.empty()) return known.front();
  if (std::find(known.begin(), known.end(), metric) != known.end()) return metric;
  throw Error("model \"" + cells.model() + "\" has no harm metric \"" + metric + "\"." + suggestion(metric, known));
}

class TerminalReporter : public Reporter {
 public:
  void write(const Results& results, const ReportView& view, const ReportSink& sink) const override {
    std::string text;
    std::string model;
    bool weights = false;
    for (const auto& board : boards(results)) {
      weights = weights || board.threat_model() == "weights";
      text += terminal(board, chosen(board, view.metric), view.colour);
      if (board.model() != std::exchange(model, board.model())) text += agreement_text(board, view.colour);  // of all its cells
    }
    for (const auto& line : legend(weights, results.facts.board)) text += wrapped_line(line);
    sink({}, text);
  }
};

}  // namespace

std::unique_ptr<Reporter> make_terminal_reporter() { return std::make_unique<TerminalReporter>(); }

}  // namespace holdfast
