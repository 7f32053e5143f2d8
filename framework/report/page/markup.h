// Text inside HTML.
#pragma once

#include <string>
#include <string_view>

#include "report/text_table.h"

namespace holdfast {

/// As it stands between tags and in quoted attributes: it opens no tag and ends no quotes.
std::string escaped(std::string_view text);

/// What a table's cell says, taken apart: "90 (86-93) ~ cut 40 [1]".
struct ShownFigure {
  std::string value;     // "90"; "-" or "failed" where there is none
  std::string interval;  // "86-93"; may be empty
  std::string flags;     // "~ cut 40 [1]"; may be empty
};
ShownFigure shown_figure(const std::string& text);

/// A table as people read it, the first column naming the row; nothing where it has no rows. `caption` is text.
std::string html_table(const std::string& caption, const TextTable& table);

/// The same behind a line that opens it.
std::string folded(const std::string& summary, const std::string& html);

}  // namespace holdfast
