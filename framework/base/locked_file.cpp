#include "base/locked_file.h"

#include <fcntl.h>
#include <holdfast/error.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace holdfast {

LockedFile::LockedFile(fs::path path, std::string what) : path_(std::move(path)), what_(std::move(what)) {
  descriptor_ = ::open(path_.c_str(), O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
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

LockedFile::~LockedFile() { ::close(descriptor_); }

void LockedFile::append_line(const std::string& line) {
  const std::string text = (ends_torn() ? "\n" : "") + line + "\n";
  const ssize_t written = ::write(descriptor_, text.data(), text.size());
  if (written == static_cast<ssize_t>(text.size())) return;
  if (written >= 0) errno = ENOSPC;
  fail("write");
}

// Whoever holds the lock sees a line without its end only where a writer died.
bool LockedFile::ends_torn() const {
  char last = '\n';
  const off_t size = ::lseek(descriptor_, 0, SEEK_END);
  return size > 0 && ::pread(descriptor_, &last, 1, size - 1) == 1 && last != '\n';
}

void LockedFile::fail(const std::string& what) const {
  throw Error("cannot " + what + " " + what_ + " " + path_.string() + ": " + std::strerror(errno));
}

}  // namespace holdfast
