// What libraries said of their plugins when they were last loaded, for who only wants to name them.
#pragma once

#include <string>

#include "base/file.h"
#include "base/json.h"

namespace holdfast {

/// In plugins.json of cache_folder(): by the library's path, what it said, beside the SHA-256 of its file and this program's
/// ABI tag; with another content or for another program it is not known. What is no such file knows nothing.
class KnownLibraries {
 public:
  /// Throws Error as cache_folder() does.
  KnownLibraries();

  /// Null where that content has not been loaded.
  const Json* find(const fs::path& library, const std::string& sha256) const;
  void add(const fs::path& library, const std::string& sha256, const Json& said);
  /// Writes what was added, without libraries that are gone.
  void keep();

 private:
  fs::path file_;  // empty: nothing is kept
  Json known_ = Json::object();
  bool changed_ = false;
};

}  // namespace holdfast
