// Where rows come from: a corpus that is built in, or a file.
#pragma once

#include <holdfast/dataset.h>

#include <string>

#include "base/file.h"
#include "base/json.h"

namespace holdfast {

/// One of `of` parts of the rows, by the hash of the prompt: rows of one prompt are in one part, so that attacker and defender
/// can share a file. The number is that of the first 16 hexadecimal digits of the SHA-256 of the last user turn, modulo `of`.
struct DataPart {
  std::int64_t number = 1, of = 1;  // "1/2" is number 1 of 2

  bool is_all() const { return of == 1; }
  bool operator==(const DataPart&) const = default;
};

/// "1/2", "2/2". Throws Error for anything else.
DataPart data_part(const std::string& text);
std::string to_string(const DataPart& part);

struct DataSource {
  std::string location;    // "builtin:organism/<corpus>" or an absolute path
  std::string digest;      // of all that is there
  std::string tasks = {};  // of a file of utility tasks: the name of those rows that name no task
  DataPart part = {};
  bool held_out = false;  // probes that a defense's author does not see

  /// What stage keys see: the digest of all, or of that and the part.
  std::string content() const;
};

/// Resolves what a scenario says: a builtin name, or a path relative to `folder` or else to the current folder. Reads the rows
/// once, so that a bad file is found before any work. Throws Error with what is wrong.
DataSource resolve_data(const std::string& text, const fs::path& folder, Dataset* rows = nullptr, const DataPart& part = {});

/// The rows. Throws Error when the content is no longer the one of the digest.
Dataset load_data(const DataSource& source);

Json to_json(const DataSource& source);
DataSource data_source_from_json(const Json& json);

/// `text` relative to `folder` when something is there, else relative to the current folder; absolute and normal.
fs::path resolve_path(const std::string& text, const fs::path& folder);

}  // namespace holdfast
