// A table of text that each format draws in its way.
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

/// The text with its mark: " +" where it holds, " x" where it is broken.
std::string marked(const TableCell& cell);

}  // namespace holdfast
