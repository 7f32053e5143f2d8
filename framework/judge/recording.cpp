#include "judge/recording.h"

#include <fcntl.h>
#include <holdfast/error.h>
#include <holdfast/log.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>

#include "base/untrusted.h"

namespace holdfast {
namespace {

// The file, open for appending and locked against other writers for as long as this lives.
class LockedFile {
 public:
  explicit LockedFile(const fs::path& path) : path_(path) {
    descriptor_ = ::open(path.c_str(), O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
    if (descriptor_ < 0) fail("write");
    int locked = -1;
    while ((locked = ::flock(descriptor_, LOCK_EX)) != 0 && errno == EINTR) {
    }
    if (locked == 0) return;
    const int reason = errno;
    ::close(descriptor_);
    errno = reason;
    fail("lock");
  }
  ~LockedFile() { ::close(descriptor_); }
  LockedFile(const LockedFile&) = delete;
  LockedFile& operator=(const LockedFile&) = delete;

  // Whoever holds the lock sees a line without its end only where a writer died.
  bool ends_torn() const {
    char last = '\n';
    const off_t size = ::lseek(descriptor_, 0, SEEK_END);
    return size > 0 && ::pread(descriptor_, &last, 1, size - 1) == 1 && last != '\n';
  }

  void append(const std::string& text) {
    const ssize_t written = ::write(descriptor_, text.data(), text.size());
    if (written == static_cast<ssize_t>(text.size())) return;
    if (written >= 0) errno = ENOSPC;
    fail("write");
  }

 private:
  [[noreturn]] void fail(const std::string& what) const {
    throw Error("cannot " + what + " the recording " + path_.string() + ": " + std::strerror(errno));
  }

  fs::path path_;
  int descriptor_ = -1;
};

}  // namespace

std::optional<Answer> Recording::find(const std::string& request) {
  if (!answers_.contains(request)) read_on();
  const auto found = answers_.find(request);
  return found == answers_.end() ? std::nullopt : std::optional(found->second);
}

Answer Recording::add(const std::string& request, const std::string& model, const Answer& answer) {
  LockedFile file(path_);
  if (const auto before = find(request)) return *before;
  Json row = {{"answer", answer.text}, {"model", model}, {"request", request}, {"usage", answer.usage}};
  if (!answer.declined.empty()) row["declined"] = answer.declined;
  const std::string line = canonical(row) + "\n";
  file.append(file.ends_torn() ? "\n" + line : line);
  return answers_[request] = answer;
}

void Recording::read_on() {
  std::ifstream in(path_, std::ios::binary);
  if (!in) return;
  in.seekg(static_cast<std::streamoff>(read_));
  std::ostringstream rest;
  rest << in.rdbuf();
  const std::string text = std::move(rest).str();
  std::size_t begin = 0;
  for (auto end = text.find('\n'); end != std::string::npos; end = text.find('\n', begin)) {
    ++lines_;
    read_line(text.substr(begin, end - begin));
    begin = end + 1;
  }
  read_ += begin;
}

void Recording::read_line(const std::string& line) {
  if (line.empty()) return;
  const std::string place = path_.string() + ":" + std::to_string(lines_);
  const Json json = json_or_discarded(line);
  if (json.is_discarded() && line.starts_with('{')) {
    log_warning(place + " is a torn line and is passed over");
    return;
  }
  const auto text = [&](const char* name) { return json.is_object() && json.contains(name) && json[name].is_string(); };
  if (!text("request") || !text("answer") || (json.contains("declined") && !text("declined"))) {
    throw Error(place + " is no recorded answer: give \"recording\" a file of its own");
  }
  answers_.emplace(json["request"],
                   Answer{json["answer"], json.value("usage", Json::object()), json.value("declined", std::string())});
}

}  // namespace holdfast
