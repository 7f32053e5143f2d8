// A table of text, drawn for a terminal or as Markdown.
#pragma once

#include <string>
#include <vector>

namespace holdfast {

enum class Mark { kNone, kHolds, kBroken };

struct TableCell {
  std::string text;
  Mark mark = Mark::kNone;
};

struct TextTable {
  std::vector<std::string> header;
  std::vector<std::vector<TableCell>> rows;  // as long as the header; the first column names the row
};

inline constexpr std::size_t kTerminalWidth = 100;

/// Columns side by side while they fit, then the next ones below with the first column again. `colour` adds ANSI colours.
std::string terminal_text(const TextTable& table, bool colour);

std::string markdown_text(const TextTable& table);

/// A line broken at spaces for the terminal, continued with two spaces.
std::string wrapped_line(const std::string& line);

/// Safe inside a Markdown table.
std::string escaped(const std::string& text);

}  // namespace holdfast
