#include "base/cache_folder.h"

#include <holdfast/error.h>
#include <unistd.h>

#include <cstdlib>

namespace holdfast {
namespace {

fs::path usual_folder() {
  if (const char* caches = std::getenv("XDG_CACHE_HOME"); caches != nullptr && *caches == '/')
    return fs::path(caches) / "holdfast";
  const char* home = std::getenv("HOME");
  return home != nullptr && *home == '/' ? fs::path(home) / ".cache" / "holdfast" : fs::path();
}

bool can_write(const fs::path& folder) {
  std::error_code failure;
  fs::create_directories(folder, failure);
  return !failure && ::access(folder.c_str(), W_OK) == 0;
}

}  // namespace

fs::path cache_folder() {
  const char* chosen = std::getenv("HOLDFAST_CACHE");
  const fs::path folder = chosen != nullptr ? fs::path(chosen) : usual_folder();
  if (folder.empty()) return folder;
  if (can_write(folder)) return folder;
  if (chosen == nullptr) return {};
  throw Error("HOLDFAST_CACHE names " + folder.string() +
              ", which is no folder that this program may write: name another one, or set it to nothing to keep nothing");
}

}  // namespace holdfast
