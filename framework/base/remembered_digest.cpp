#include "base/remembered_digest.h"

#include <holdfast/error.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstring>
#include <map>

#include "base/digest.h"
#include "base/json.h"

namespace holdfast {

std::string remembered_sha256(const std::filesystem::path& path) {
  static std::map<std::string, std::string> known;
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) throw Error("cannot read " + path.string() + ": " + std::strerror(errno));
  const std::string key = path.string() + "\n" + std::to_string(status.st_ino) + "\n" + std::to_string(status.st_size) + "\n" +
                          std::to_string(status.st_mtim.tv_sec) + "." + std::to_string(status.st_mtim.tv_nsec);
  auto& digest = known[key];
  if (digest.empty()) digest = sha256_file(path);
  return digest;
}

std::string content_digest(const std::filesystem::path& path) {
  if (!std::filesystem::is_directory(path)) return remembered_sha256(path);
  std::map<std::string, std::string> files;  // in the order of names
  for (const auto& entry : std::filesystem::directory_iterator(path)) {
    const std::string name = entry.path().filename().string();
    if (entry.is_regular_file() && !name.starts_with(".")) files[name] = remembered_sha256(entry.path());
  }
  if (files.empty()) throw Error("the folder " + path.string() + " holds no file");
  return sha256(canonical(Json(files)));
}

}  // namespace holdfast
