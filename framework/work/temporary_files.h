// Where temporary files of plugins go.
#pragma once

#include <cstdlib>
#include <string>

#include "store/store.h"

namespace holdfast {

/// A guard: while it lives, temporary files of this process go to that folder. Relative names are theirs.
class TemporaryFiles {
 public:
  explicit TemporaryFiles(const fs::path& folder) : before_(std::getenv("TMPDIR") == nullptr ? "" : std::getenv("TMPDIR")) {
    ::setenv("TMPDIR", folder.c_str(), /*overwrite=*/1);
  }
  ~TemporaryFiles() { before_.empty() ? ::unsetenv("TMPDIR") : ::setenv("TMPDIR", before_.c_str(), /*overwrite=*/1); }
  TemporaryFiles(const TemporaryFiles&) = delete;
  TemporaryFiles& operator=(const TemporaryFiles&) = delete;

 private:
  std::string before_;
};

/// A folder on the store's disk that goes when this does.
class TemporaryFolder {
 public:
  explicit TemporaryFolder(Store& store) : store_(store), path_(store.begin()) {}
  ~TemporaryFolder() { store_.abandon(path_); }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  const fs::path& path() const { return path_; }

 private:
  Store& store_;
  fs::path path_;
};

}  // namespace holdfast
