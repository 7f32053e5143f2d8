#include "base/remembered_digest.h"

#include <holdfast/error.h>
#include <holdfast/log.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <map>
#include <mutex>
#include <optional>

#include "base/cache_folder.h"
#include "base/digest.h"
#include "base/json.h"

namespace holdfast {
namespace {

constexpr off_t kLarge = 1 << 20;
constexpr std::time_t kSettled = 2;  // seconds

struct FileStamp {
  std::string text;  // what a file is known again by
  bool large = false;
  bool settled = false;  // a later change will show in the stamp
};

std::string time_text(const timespec& time) { return std::to_string(time.tv_sec) + "." + std::to_string(time.tv_nsec); }

FileStamp stamp_of(const fs::path& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) throw Error("cannot read " + path.string() + ": " + std::strerror(errno));
  FileStamp stamp;
  stamp.text = std::to_string(status.st_dev) + " " + std::to_string(status.st_ino) + " " + std::to_string(status.st_size) +
               " " + time_text(status.st_mtim) + " " + time_text(status.st_ctim);
  stamp.large = status.st_size >= kLarge;
  stamp.settled = std::time(nullptr) - std::max(status.st_mtim.tv_sec, status.st_ctim.tv_sec) > kSettled;
  return stamp;
}

// By path: the last stamp, and the digest that the file had then. One entry a path, so that the file of it stays small:
// {path: [stamp, digest]}.
class Memory {
 public:
  std::optional<std::string> find(const std::string& path, const FileStamp& stamp) {
    const std::lock_guard lock(mutex_);
    if (const auto known = known_.find(path); known != known_.end() && known->second.stamp == stamp.text) {
      return known->second.digest;
    }
    if (!stamp.large) return std::nullopt;
    const Json kept = read_kept(kept_file());  // another process may have come to know it
    if (!kept.contains(path) || !kept.at(path).is_array() || kept.at(path).size() != 2) return std::nullopt;
    const Json& entry = kept.at(path);
    if (entry[0] != stamp.text || !entry[1].is_string()) return std::nullopt;
    return (known_[path] = {stamp.text, entry[1].get<std::string>()}).digest;
  }

  void add(const std::string& path, const FileStamp& stamp, const std::string& digest) {
    const std::lock_guard lock(mutex_);
    known_[path] = {stamp.text, digest};
    if (stamp.large) keep(path, stamp.text, digest);
  }

 private:
  struct Entry {
    std::string stamp, digest;
  };

  static fs::path kept_file() {
    const fs::path folder = cache_folder();
    return folder.empty() ? folder : folder / "digests.json";
  }

  // Torn by hand, it is only a memory.
  static Json read_kept(const fs::path& file) {
    if (file.empty() || !fs::exists(file)) return Json::object();
    Json kept = Json::parse(read_file(file), nullptr, false);
    return kept.is_object() ? kept : Json::object();
  }

  // Two processes that write at once lose one's entry, which costs a reading later.
  static void keep(const std::string& path, const std::string& stamp, const std::string& digest) {
    const fs::path file = kept_file();
    if (file.empty()) return;
    try {
      Json kept = read_kept(file);
      kept[path] = Json::array({stamp, digest});
      write_file(file, kept.dump(1) + "\n");
    } catch (const Error& error) {
      log_warning(std::string("digests are not remembered: ") + error.what());
    }
  }

  std::mutex mutex_;
  std::map<std::string, Entry> known_;
};

}  // namespace

std::string remembered_sha256(const fs::path& path) {
  static Memory memory;
  const std::string name = fs::absolute(path).lexically_normal().string();
  const FileStamp before = stamp_of(path);
  if (const auto known = memory.find(name, before)) return *known;
  std::string digest = sha256_file(path);
  if (before.settled && stamp_of(path).text == before.text) memory.add(name, before, digest);
  return digest;
}

std::string content_digest(const fs::path& path) {
  if (!fs::is_directory(path)) return remembered_sha256(path);
  std::map<std::string, std::string> files;  // in the order of names
  for (const auto& entry : fs::directory_iterator(path)) {
    const std::string name = entry.path().filename().string();
    if (entry.is_regular_file() && !name.starts_with(".")) files[name] = remembered_sha256(entry.path());
  }
  if (files.empty()) throw Error("the folder " + path.string() + " holds no file");
  return sha256(canonical(Json(files)));
}

}  // namespace holdfast
