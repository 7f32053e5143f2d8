#include "remote/upload.h"

#include <fcntl.h>
#include <holdfast/error.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

namespace holdfast {
namespace {

[[noreturn]] void fail(const fs::path& path) { throw Error("cannot write " + path.string() + ": " + std::strerror(errno)); }

}  // namespace

Upload::Upload(fs::path temporary) : path_(std::move(temporary)) {
  descriptor_ = ::open(path_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
  if (descriptor_ < 0) fail(path_);
}

Upload::~Upload() {
  if (descriptor_ >= 0) ::close(descriptor_);
  if (!path_.empty()) ::unlink(path_.c_str());
}

void Upload::write(const char* data, std::size_t size) {
  digest_.update(data, size);
  bytes_ += size;
  while (size > 0) {
    const ssize_t written = ::write(descriptor_, data, size);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) fail(path_);
    data += written;
    size -= static_cast<std::size_t>(written);
  }
}

void Upload::close() {
  const int descriptor = std::exchange(descriptor_, -1);
  if (descriptor >= 0 && ::close(descriptor) != 0) fail(path_);
}

std::string Upload::sha256() {
  close();
  return digest_.hex();
}

void Upload::keep(const fs::path& place) {
  close();
  if (::rename(path_.c_str(), place.c_str()) != 0) fail(place);
  path_.clear();
}

}  // namespace holdfast
