#include "base/keyed_files.h"

#include "base/remembered_digest.h"

namespace holdfast {

bool is_builtin(const std::string& location) { return location.starts_with("builtin:"); }

InputChanged::InputChanged(const fs::path& path)
    : Error(path.string() + " changed while the matrix was running: start the run again") {}

void check_files(const Json& task) {
  if (task.is_object() && task.contains("location") && task.contains("digest")) {
    const auto location = task.at("location").get<std::string>();
    if (!is_builtin(location) && content_digest(location) != task.at("digest").get<std::string>()) throw InputChanged(location);
    return;
  }
  if (!task.is_structured()) return;
  for (const auto& part : task) check_files(part);
}

}  // namespace holdfast
