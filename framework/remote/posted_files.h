// Files outside the store that a posting names: what its stages read beside artifacts. Those are served while its lease is
// held, and no other file of this machine is.
#pragma once

#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "queue/queue.h"

namespace holdfast {

/// For any thread.
class PostedFiles {
 public:
  /// What is named in what the lease's holder was told: {"sources": [{"location", "digest", "name", "folder", "files"}]}, each
  /// file
  /// {"name", "bytes", "sha256"}; a source that cannot be had has "fault", a sentence, in the place of "files". "name" is that
  /// of the location without its folder; a source that is one file lists that name.
  Json list(const Lease& lease, Json work);
  /// Where a file lies that was listed for this lease, while it is held.
  std::optional<fs::path> find(const std::string& sha256, const Lease& lease);

 private:
  void forget_lost();

  std::mutex mutex_;
  std::map<std::string, std::pair<Lease, std::map<std::string, fs::path>>> listed_;  // by the lease's name, by SHA-256
};

}  // namespace holdfast
