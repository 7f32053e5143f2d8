// What was read is what was keyed: files whose digests stand in a stage's key are read again, maybe hours later, in another
// process.
#pragma once

#include <holdfast/error.h>

#include <string>

#include "base/file.h"
#include "base/json.h"

namespace holdfast {

/// Whether a location is no file but one of ours: "builtin:...".
bool is_builtin(const std::string& location);

/// A file that changed. Whoever meets it may keep in memory what was read of it in between, weights or a library's code: a
/// worker is replaced.
class InputChanged final : public Error {
 public:
  explicit InputChanged(const fs::path& path);
};

/// Throws InputChanged for the first file whose content is no longer that of its digest, wherever {"location", "digest"} stands
/// in `task`: data, plugin libraries, files that settings name.
void check_files(const Json& task);

}  // namespace holdfast
