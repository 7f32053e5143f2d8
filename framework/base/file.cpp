#include "base/file.h"

#include <fcntl.h>
#include <holdfast/error.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <functional>
#include <sstream>

#include "base/process_name.h"

namespace holdfast {
namespace {

[[noreturn]] void fail(const std::string& what, const fs::path& path) {
  const std::string hint = errno == ENOENT && what == "write" ? "; its folder is not there" : "";
  throw Error("cannot " + what + " " + path.string() + ": " + reason_of(errno) + hint);
}

bool write_all(int descriptor, std::string_view content) {
  while (!content.empty()) {
    const ssize_t written = ::write(descriptor, content.data(), content.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return false;
    content.remove_prefix(static_cast<std::size_t>(written));
  }
  return true;
}

// Whether `flush` took what is at the path; else errno says why not.
bool flushed(const fs::path& path, int (*flush)(int)) {
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) return false;
  const bool done = flush(descriptor) == 0;
  const int reason = errno;
  ::close(descriptor);
  errno = reason;
  return done;
}

// Written beside the file and renamed.
void replace(const fs::path& path, const std::vector<std::string_view>& pieces, bool synced) {
  const fs::path temporary = path.string() + ".tmp" + process_name();
  const int descriptor = ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (descriptor < 0) fail("write", path);
  bool whole = std::all_of(pieces.begin(), pieces.end(), [&](auto piece) { return write_all(descriptor, piece); });
  whole = whole && (!synced || ::fsync(descriptor) == 0);
  int reason = errno;
  if (::close(descriptor) != 0 && whole) {
    whole = false;
    reason = errno;
  }
  if (whole && !move_path(temporary, path)) {
    whole = false;
    reason = errno;
  }
  if (whole) return;
  ::unlink(temporary.c_str());
  errno = reason;
  fail("write", path);
}

// Writes into the file as it lies there; `after` is asked once all is written.
void put(const fs::path& path, std::string_view content, int flags, const std::function<bool(int)>& after) {
  const int descriptor = ::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | flags, 0644);
  if (descriptor < 0) fail("write", path);
  const bool written = write_all(descriptor, content) && after(descriptor);
  const int reason = errno;
  const bool closed = ::close(descriptor) == 0;
  if (written && closed) return;
  if (!written) errno = reason;
  fail("write", path);
}

}  // namespace

std::string reason_of(int error) {
  const std::string words = std::strerror(error);
  if (error == ENOSPC || error == EDQUOT) return words + "; make room, and the same command goes on";
  if (error == EROFS) return words + "; once it may be written, the same command goes on";
  return words;
}

std::string read_file(const fs::path& path) {
  std::error_code ignored;
  if (fs::is_directory(path, ignored)) throw Error("cannot read " + path.string() + ": it is a folder, expected a file");
  std::ifstream in(path, std::ios::binary);
  if (!in) fail("read", path);
  std::ostringstream text;
  text << in.rdbuf();
  if (in.bad()) fail("read", path);
  return std::move(text).str();
}

void write_file(const fs::path& path, std::string_view content) { write_file_pieces(path, {content}); }

void write_file_pieces(const fs::path& path, const std::vector<std::string_view>& pieces) { replace(path, pieces, true); }

void write_file_unsynced(const fs::path& path, std::string_view content) { replace(path, {content}, false); }

void sync_file_system(const fs::path& path) {
  if (!flushed(path, ::syncfs)) fail("sync", path);
}

void overwrite_file(const fs::path& path, std::string_view content) {
  put(path, content, 0, [&](int descriptor) { return ::ftruncate(descriptor, static_cast<off_t>(content.size())) == 0; });
}

void append_file(const fs::path& path, std::string_view content) {
  std::error_code none, ignored;
  const auto before = fs::file_size(path, none);
  try {
    put(path, content, O_APPEND, [](int) { return true; });
  } catch (const Error&) {  // no half line stays, as on a full disk
    fs::resize_file(path, none ? 0 : before, ignored);
    throw;
  }
}

bool move_path(const fs::path& from, const fs::path& to) {
  if (::rename(from.c_str(), to.c_str()) == 0) return true;
  const int reason = errno;
  std::error_code ignored;
  const bool moved = reason == ENOENT && !fs::exists(from, ignored) && fs::exists(to, ignored);
  errno = reason;
  return moved;
}

void sync_path(const fs::path& path) {
  if (flushed(path, ::fsync)) return;
  const int reason = errno;
  std::error_code ignored;
  if (reason == EINVAL && fs::is_directory(path, ignored)) return;
  errno = reason;
  fail("sync", path);
}

MappedFile::MappedFile(const fs::path& path) : path_(path) {
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) fail("read", path);
  struct stat status {};
  if (::fstat(descriptor, &status) != 0 || !S_ISREG(status.st_mode)) {
    ::close(descriptor);
    throw Error("cannot read " + path.string() + ": it is not a regular file");
  }
  size_ = static_cast<std::size_t>(status.st_size);
  void* mapped = size_ == 0 ? nullptr : ::mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, descriptor, 0);
  ::close(descriptor);
  if (mapped == MAP_FAILED) fail("read", path);
  data_ = static_cast<unsigned char*>(mapped);
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) ::munmap(data_, size_);
}

fs::path program_folder() { return fs::read_symlink("/proc/self/exe").parent_path(); }

fs::path share_folder() { return program_folder().parent_path() / "share" / "holdfast"; }

}  // namespace holdfast
