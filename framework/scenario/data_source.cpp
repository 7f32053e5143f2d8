#include "scenario/data_source.h"

#include <holdfast/error.h>

#include <regex>

#include "base/digest.h"
#include "base/keyed_files.h"
#include "base/remembered_digest.h"
#include "base/suggest.h"
#include "base/untrusted.h"
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

// Of a row's prompt, in hexadecimal digits.
std::string prompt_digest(const Example& row) { return sha256(last_content(row.messages, "user")); }

bool is_in(const DataPart& part, const Example& row) {
  const auto hash = std::stoull(prompt_digest(row).substr(0, 16), nullptr, 16);
  return static_cast<std::int64_t>(hash % static_cast<std::uint64_t>(part.of)) + 1 == part.number;
}

RowsRead only(const DataPart& part, RowsRead all, const std::string& location) {
  if (part.is_all()) return all;
  std::erase_if(all.rows, [&](const Example& row) { return !is_in(part, row); });
  if (all.rows.empty()) throw Error("the part " + to_string(part) + " of " + location + " has no rows: take fewer parts");
  return all;
}

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
  if (is_there(beside)) return beside;
  const fs::path here = fs::absolute(path).lexically_normal();
  return is_there(here) ? here : beside;
}

DataPart data_part(const std::string& text) {
  static const std::regex form("([0-9]{1,4})/([0-9]{1,4})");
  std::smatch found;
  DataPart part;
  if (std::regex_match(text, found, form)) part = {std::stoll(found[1]), std::stoll(found[2])};
  if (found.empty() || part.number < 1 || part.number > part.of) {
    throw Error("\"" + text + "\" is no part of rows, expected one such as \"1/2\" or \"2/2\"");
  }
  return part;
}

std::string to_string(const DataPart& part) { return std::to_string(part.number) + "/" + std::to_string(part.of); }

DataSource resolve_data(const std::string& text, const fs::path& folder, Dataset* rows, const DataPart& part) {
  DataSource source;
  source.part = part;
  source.location = is_builtin(text) ? text : resolve_path(text, folder).string();
  RowsRead read = only(part, read_rows(source.location), source.location);
  source.digest = std::move(read.digest);
  if (rows != nullptr) *rows = std::move(read.rows);
  return source;
}

Dataset load_data(const DataSource& source) {
  RowsRead read = only(source.part, read_rows(source.location), source.location);
  if (read.digest != source.digest) throw InputChanged(source.location);
  return std::move(read.rows);
}

std::string DataSource::content() const {
  return part.is_all() ? digest : sha256(canonical({{"rows", digest}, {"part", to_string(part)}}));
}

Json to_json(const DataSource& source) {
  Json json = {{"location", source.location}, {"digest", source.digest}};
  if (!source.tasks.empty()) json["tasks"] = source.tasks;
  if (!source.part.is_all()) json["part"] = to_string(source.part);
  if (source.held_out) json["held_out"] = true;
  return json;
}

DataSource data_source_from_json(const Json& json) {
  return {json.at("location").get<std::string>(), json.at("digest").get<std::string>(), json.value("tasks", ""),
          data_part(json.value("part", "1/1")), json.value("held_out", false)};
}

}  // namespace holdfast
