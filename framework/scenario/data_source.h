// Where rows come from: a corpus that is built in, or a file.
#pragma once

#include <holdfast/dataset.h>

#include <string>

#include "base/file.h"
#include "base/json.h"

namespace holdfast {

struct DataSource {
  std::string location;    // "builtin:organism/<corpus>" or an absolute path
  std::string digest;      // of the content; what stage keys see
  std::string tasks = {};  // of a file of utility tasks: the name of those rows that name no task
};

/// Resolves what a scenario says: a builtin name, or a path relative to `folder` or else to the current folder. Reads the rows
/// once, so that a bad file is found before any work. Throws Error with what is wrong.
DataSource resolve_data(const std::string& text, const fs::path& folder, Dataset* rows = nullptr);

/// The rows. Throws Error when the content is no longer the one of the digest.
Dataset load_data(const DataSource& source);

Json to_json(const DataSource& source);
DataSource data_source_from_json(const Json& json);

/// `text` relative to `folder` when something is there, else relative to the current folder; absolute and normal.
fs::path resolve_path(const std::string& text, const fs::path& folder);

}  // namespace holdfast
