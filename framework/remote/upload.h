// Content on its way to the server's disk: never whole in memory, and whole or absent at its place.
#pragma once

#include <cstdint>
#include <string>

#include "base/digest.h"
#include "base/file.h"

namespace holdfast {

class Upload {
 public:
  /// Makes the file, for the time being beside nobody who reads. Throws Error with the system's reason.
  explicit Upload(fs::path temporary);
  /// What was not kept is removed.
  ~Upload();
  Upload(const Upload&) = delete;
  Upload& operator=(const Upload&) = delete;

  /// Throws Error with the system's reason.
  void write(const char* data, std::size_t size);
  std::uint64_t bytes() const { return bytes_; }
  /// Of all that was written; ends the writing. Throws Error.
  std::string sha256();
  const fs::path& path() const { return path_; }
  /// Renames it to its place. Throws Error with the system's reason.
  void keep(const fs::path& place);

 private:
  void close();

  fs::path path_;
  int descriptor_ = -1;
  std::uint64_t bytes_ = 0;
  Sha256 digest_;
};

}  // namespace holdfast
