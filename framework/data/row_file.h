// A file's rows as JSON values, whatever form the file has.
#pragma once

#include <filesystem>
#include <string>

#include "base/json.h"

namespace holdfast {

struct FileRow {
  Json value;
  std::string place;  // "rows.jsonl:12", the line where it begins; of a list of rows "rows.json, row 12"
};

/// The form is told by the content, never by the name: JSON values one a line, one list of rows, or CSV whose header names what
/// is asked (separated by commas, tabs or semicolons; a row is then an object of its cells that are not empty); any of them
/// UTF-8 and possibly compressed by gzip. Throws Error naming file, place and form for everything else, and for a key that
/// stands twice.
std::vector<FileRow> read_row_file(const std::filesystem::path& path);

/// One JSON value. Throws Error whose text begins with `place`, also for a key that stands twice.
Json parse_row(const std::string& text, const std::string& place);

}  // namespace holdfast
