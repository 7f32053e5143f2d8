#include "remote/named_sources.h"

#include <map>

#include "base/file.h"
#include "base/keyed_files.h"

namespace holdfast {
namespace {

using Visit = std::function<std::string(const NamedSource&)>;
using Moved = std::map<std::string, std::string>;  // where a file lies, by where it lay

constexpr const char* kOwnModel = "organism";  // the program brings it

void visit_checkpoint(Json& source, const Json& digest, const Visit& visit) {
  const auto location = source.get<std::string>();
  if (location != kOwnModel) source = visit({NamedSource::Kind::kCheckpoint, location, digest.get<std::string>()});
}

void visit_checkpoints(Json& request, const Visit& visit) {
  for (auto& weights : request.at("weights")) visit_checkpoint(weights.at("source"), weights.at("base"), visit);
  Json& task = request.at("task");
  for (const char* model : {"judge_model", "base_model"}) {
    if (task.contains(model)) visit_checkpoint(task[model].at("source"), task[model].at("base"), visit);
  }
  if (task.contains("model") && task.contains("base")) visit_checkpoint(task["model"].at("source"), task["base"], visit);
}

// A setting names a file as its user wrote it: from the scenario's folder, or whole.
void move_setting(Json& value, const fs::path& folder, const Moved& moved) {
  if (value.is_array()) {
    for (auto& word : value) move_setting(word, folder, moved);
  }
  if (!value.is_string()) return;
  const auto found = moved.find((folder / value.get<std::string>()).lexically_normal().string());
  if (found != moved.end()) value = found->second;
}

void visit_files(Json& part, const fs::path& folder, const Visit& visit, Moved& moved) {
  if (!part.is_structured()) return;
  if (part.is_object() && part.contains("location") && part.contains("digest")) {
    const auto location = part.at("location").get<std::string>();
    if (is_builtin(location)) return;
    const std::string place = visit({NamedSource::Kind::kFile, location, part.at("digest").get<std::string>()});
    if (place == location) return;
    part["location"] = place;
    moved[location] = place;
    return;
  }
  Moved below;
  for (auto& each : part) visit_files(each, folder, visit, below);
  if (part.is_object() && part.contains("files") && part.contains("values")) {
    for (auto& value : part["values"]) move_setting(value, folder, below);
  }
  moved.merge(below);
}

}  // namespace

void each_source(Json& request, const Visit& visit) {
  visit_checkpoints(request, visit);
  Json& task = request.at("task");
  Moved moved;
  visit_files(task, task.value("folder", ""), visit, moved);
}

}  // namespace holdfast
