#include "report/text_table.h"

#include <algorithm>

namespace holdfast {
namespace {

using Row = std::vector<TableCell>;

constexpr std::size_t kHeaderWidth = 12;

std::string marked(const TableCell& cell) {
  if (cell.mark == Mark::kHolds) return cell.text + " +";
  return cell.mark == Mark::kBroken ? cell.text + " x" : cell.text;
}

std::string markdown_row(const Row& row) {
  std::string line = "|";
  for (const auto& cell : row) {
    const std::string text = escaped(marked(cell));
    line += cell.mark == Mark::kHolds ? " **" + text + "** |" : " " + text + " |";
  }
  return line + "\n";
}

Row header_row(const std::vector<std::string>& header) {
  Row row;
  for (const auto& text : header) row.push_back({text});
  return row;
}

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

// Names may hold UTF-8: a column is as wide as its characters.
std::size_t shown_width(const std::string& text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xC0) != 0x80; }));
}

std::string padded(const std::string& text, std::size_t width, bool left) {
  const std::string space(width - std::min(width, shown_width(text)), ' ');
  return left ? text + space : space + text;
}

struct Column {
  std::vector<std::string> header;
  std::size_t width = 0;
};

std::vector<Column> columns_of(const TextTable& table) {
  std::vector<Column> columns;
  for (std::size_t i = 0; i < table.header.size(); ++i) {
    Column column{header_lines(table.header[i])};
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
std::string terminal_block(const TextTable& table, const std::vector<Column>& columns, std::size_t first, std::size_t last,
                           bool colour) {
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

}  // namespace

std::string escaped(const std::string& text) {
  std::string safe;
  for (const char c : text) {
    if (c == '|') safe += '\\';
    safe += c == '\n' ? ' ' : c;
  }
  return safe;
}

std::string markdown_text(const TextTable& table) {
  std::string text = markdown_row(header_row(table.header)) + "|" + " --- |";
  for (std::size_t i = 1; i < table.header.size(); ++i) text += " ---: |";
  text += "\n";
  for (const auto& row : table.rows) text += markdown_row(row);
  return text;
}

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

}  // namespace holdfast
