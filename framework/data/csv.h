// Comma-separated values as RFC 4180 has them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace holdfast {

struct CsvRecord {
  std::int64_t line;  // where it begins, from 1
  std::vector<std::string> cells;
};

/// All records; empty lines are none. A cell in quotes may hold separators, line ends and doubled quotes; a quote within a bare
/// cell is a character. Throws Error naming `source` and line for a quoted cell that does not end, or goes on after its quote.
std::vector<CsvRecord> parse_csv(const std::string& text, char separator, const std::string& source);

}  // namespace holdfast
