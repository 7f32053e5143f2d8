#include "report/page/markup.h"

namespace holdfast {
namespace {

std::string mark_text(const TableCell& cell) { return marked(cell).substr(cell.text.size()); }

}  // namespace

std::string escaped(std::string_view text) {
  std::string safe;
  safe.reserve(text.size());
  for (const char c : text) {
    switch (c) {
      case '&':
        safe += "&amp;";
        break;
      case '<':
        safe += "&lt;";
        break;
      case '>':
        safe += "&gt;";
        break;
      case '"':
        safe += "&quot;";
        break;
      case '\'':
        safe += "&#39;";
        break;
      default:
        safe += c;
    }
  }
  return safe;
}

ShownFigure shown_figure(const std::string& text) {
  ShownFigure shown;
  const auto space = text.find(' ');
  shown.value = text.substr(0, space);
  std::string rest = space == std::string::npos ? "" : text.substr(space + 1);
  if (rest.starts_with("(")) {
    const auto end = rest.find(')');
    shown.interval = rest.substr(1, end - 1);
    rest = rest.substr(std::min(rest.size(), end + 2));
  }
  shown.flags = rest;
  return shown;
}

std::string html_table(const std::string& caption, const TextTable& table) {
  if (table.rows.empty()) return "";
  std::string html = "<div class=scroll><table class=plain><caption><span>" + escaped(caption) + "</span></caption><thead><tr>";
  for (const auto& name : table.header) html += "<th scope=col>" + escaped(name);
  html += "<tbody>";
  for (const auto& row : table.rows) {
    html += "\n<tr><th scope=row>" + escaped(row.at(0).text);
    for (std::size_t i = 1; i < row.size(); ++i) html += "<td>" + escaped(row[i].text + mark_text(row[i]));
  }
  return html + "</table></div>\n";
}

std::string folded(const std::string& summary, const std::string& html) {
  return html.empty() ? "" : "<details><summary>" + escaped(summary) + "</summary>" + html + "</details>\n";
}

}  // namespace holdfast
