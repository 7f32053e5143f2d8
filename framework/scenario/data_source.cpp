#include "scenario/data_source.h"

#include <holdfast/error.h>

#include "base/digest.h"
#include "base/keyed_files.h"
#include "base/remembered_digest.h"
#include "base/suggest.h"
#include "data/formats.h"
#include "organism/organism.h"

namespace holdfast {
namespace {

const std::string kOrganism = "builtin:organism/";

std::string digest_rows(const Dataset& rows) {
  Sha256 digest;
  for (const auto& row : rows) {
    const std::string line = canonical(example_to_json(row)) + "\n";
    digest.update(line.data(), line.size());
  }
  return digest.hex();
}

Dataset builtin_rows(const std::string& location) {
  if (!location.starts_with(kOrganism)) {
    std::vector<std::string> known;
    for (const auto& name : organism::corpus_names()) known.push_back(kOrganism + name);
    throw Error("there is no \"" + location + "\"." + suggestion(location, known));
  }
  Dataset rows = organism::corpus(location.substr(kOrganism.size()));
  for (std::size_t i = 0; i < rows.size(); ++i) rows[i].origin = location + ":" + std::to_string(i + 1);
  return rows;
}

struct RowsRead {
  Dataset rows;
  std::string digest;
};

// Builtin corpora have no file, so their rows are digested; a file's digest is that of its bytes, the ones that were read.
RowsRead read_rows(const std::string& location) {
  if (is_builtin(location)) {
    Dataset rows = builtin_rows(location);
    std::string digest = digest_rows(rows);
    return {std::move(rows), std::move(digest)};
  }
  std::string digest = remembered_sha256(location);
  Dataset rows = read_dataset(location);
  if (remembered_sha256(location) != digest) throw Error(location + " changed while it was read: try again");
  return {std::move(rows), std::move(digest)};
}

}  // namespace

fs::path resolve_path(const std::string& text, const fs::path& folder) {
  const fs::path path = text;
  if (path.is_absolute()) return path.lexically_normal();
  const fs::path beside = fs::absolute(folder / path).lexically_normal();
  if (fs::exists(beside)) return beside;
  const fs::path here = fs::absolute(path).lexically_normal();
  return fs::exists(here) ? here : beside;
}

DataSource resolve_data(const std::string& text, const fs::path& folder, Dataset* rows) {
  DataSource source;
  source.location = is_builtin(text) ? text : resolve_path(text, folder).string();
  RowsRead read = read_rows(source.location);
  source.digest = std::move(read.digest);
  if (rows != nullptr) *rows = std::move(read.rows);
  return source;
}

Dataset load_data(const DataSource& source) {
  RowsRead read = read_rows(source.location);
  if (read.digest != source.digest) throw InputChanged(source.location);
  return std::move(read.rows);
}

Json to_json(const DataSource& source) {
  Json json = {{"location", source.location}, {"digest", source.digest}};
  if (!source.tasks.empty()) json["tasks"] = source.tasks;
  return json;
}

DataSource data_source_from_json(const Json& json) {
  return {json.at("location").get<std::string>(), json.at("digest").get<std::string>(), json.value("tasks", "")};
}

}  // namespace holdfast
