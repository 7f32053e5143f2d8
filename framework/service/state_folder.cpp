#include "service/state_folder.h"

#include <fcntl.h>
#include <holdfast/error.h>
#include <holdfast/log.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "base/untrusted.h"
#include "service/ids.h"

namespace holdfast {
namespace {

int locked(const fs::path& path) {
  const int descriptor = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (descriptor < 0) throw Error("cannot write " + path.string() + ": " + reason_of(errno));
  if (::flock(descriptor, LOCK_EX | LOCK_NB) == 0) return descriptor;
  ::close(descriptor);
  throw Error("another holdfast serve has the folder " + path.parent_path().string() +
              ": end it first, or name another with --state");
}

void make_folder(const fs::path& path) {
  std::error_code error;
  fs::create_directories(path, error);
  if (error) throw Error("cannot make the folder " + path.string() + ": " + error.message());
}

std::int64_t created_of(const fs::path& path) {
  const Json known = is_there(path) ? json_or_discarded(read_file(path)) : Json();
  if (known.is_object() && known.contains("created") && known["created"].is_number_integer()) return known["created"];
  const std::int64_t now = unix_seconds();
  write_file(path, canonical({{"created", now}}) + "\n");
  return now;
}

}  // namespace

StateFolder::StateFolder(fs::path root, const std::vector<std::string>& customers) : root_(std::move(root)) {
  make_folder(root_);
  lock_ = locked(root_ / "lock");
  std::error_code ignored;
  fs::remove_all(root_ / "uploads", ignored);  // of a server that was killed
  make_folder(root_ / "uploads");
  make_folder(contents());
  for (const auto& customer : customers) {
    make_folder(files(customer));
    make_folder(jobs(customer));
    make_folder(of(customer) / "events");
  }
  created_ = created_of(root_ / "service.json");
}

StateFolder::~StateFolder() {
  if (lock_ >= 0) ::close(lock_);
}

fs::path StateFolder::upload() const { return root_ / "uploads" / new_id("upload-"); }

void each_object(const fs::path& folder, const std::string& prefix, const std::function<void(const Json&)>& visit) {
  std::vector<fs::path> paths;
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (entry.path().extension() == ".json" && is_id(entry.path().stem().string(), prefix)) paths.push_back(entry.path());
  }
  std::sort(paths.begin(), paths.end());
  for (const auto& path : paths) {
    try {
      visit(parse_json(read_file(path), path.string()));
    } catch (const std::exception& error) {
      log_warning(path.string() + " is passed over: " + error.what());
    }
  }
}

std::vector<Json> whole_lines(const fs::path& path) {
  std::vector<Json> lines;
  if (!is_there(path)) return lines;
  const std::string text = read_file(path);
  std::size_t begin = 0;
  for (auto end = text.find('\n'); end != std::string::npos; end = text.find('\n', begin)) {
    Json line = json_or_discarded(std::string_view(text).substr(begin, end - begin));
    if (line.is_object()) {
      lines.push_back(std::move(line));
    } else {
      log_warning(path.string() + " has a torn line, which is passed over");
    }
    begin = end + 1;
  }
  if (begin < text.size()) {
    log_warning(path.string() + " ends in a torn line, which is passed over");
    write_file(path, std::string_view(text).substr(0, begin));
  }
  return lines;
}

std::int64_t unix_seconds() {
  return std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch()).count();
}

}  // namespace holdfast
