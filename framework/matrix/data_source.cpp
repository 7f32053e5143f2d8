#include "matrix/data_source.h"

#include <holdfast/error.h>

#include "base/digest.h"
#include "base/suggest.h"
#include "data/formats.h"
#include "organism/organism.h"

namespace holdfast {
namespace {

const std::string kBuiltin = "builtin:";
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

// Builtin corpora have no file, so their rows are digested; a file's digest is that of its bytes.
std::string digest_of(const std::string& location, const Dataset& rows) {
  return location.starts_with(kBuiltin) ? digest_rows(rows) : sha256_file(location);
}

Dataset read_rows(const std::string& location) {
  return location.starts_with(kBuiltin) ? builtin_rows(location) : read_dataset(location);
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
  source.location = text.starts_with(kBuiltin) ? text : resolve_path(text, folder).string();
  Dataset read = read_rows(source.location);
  source.digest = digest_of(source.location, read);
  if (rows != nullptr) *rows = std::move(read);
  return source;
}

Dataset load_data(const DataSource& source) {
  Dataset rows = read_rows(source.location);
  if (digest_of(source.location, rows) != source.digest) {
    throw Error(source.location + " changed while the matrix was running: start the run again");
  }
  return rows;
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
