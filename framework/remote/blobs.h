// Content of a served store by its SHA-256: the files of its artifacts, what clients put beside them, and what a worker brings
// for an artifact.
#pragma once

#include <array>
#include <chrono>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>

#include "queue/queue.h"
#include "remote/upload.h"
#include "store/store.h"

namespace holdfast {

/// Whether a text is a SHA-256 as we write it: 64 lower-case hexadecimal digits.
bool is_sha256(const std::string& text);

/// For any thread.
class Blobs {
 public:
  explicit Blobs(fs::path store);

  /// Where a file of that content lies; nothing where there is none. What other processes stored is looked for, but not so
  /// often that it costs much.
  std::optional<fs::path> find(const std::string& sha256);
  /// The same for an artifact in the making, of which more may be brought than is needed: what was brought under the lease, and
  /// what is known without looking.
  std::optional<fs::path> find(const std::string& sha256, const Lease& lease);
  /// The files of an artifact that is known to be there.
  void add(const Manifest& artifact);

  /// A place to write on the store's disk, for anybody's content. Throws Error.
  std::unique_ptr<Upload> begin();
  /// The same for content that goes when the lease ends. Throws Error where that is lost.
  std::unique_ptr<Upload> begin(const Lease& lease);
  /// Puts it where find() finds it. Throws Error.
  void keep(Upload& upload, const std::string& sha256);
  void keep(Upload& upload, const std::string& sha256, const Lease& lease);

  /// A client's own entry of that key (/ac): where it lies, if it is there.
  std::optional<fs::path> entry(const std::string& key) const;
  void keep_entry(Upload& upload, const std::string& key);

 private:
  /// A folder of artifacts as it was when it was last looked into.
  struct Shelf {
    fs::file_time_type changed{};                         // by the file system's clock, which is not compared with ours
    std::chrono::steady_clock::time_point since{};        // when it was first seen to be so
    bool settled = false;                                 // a later change shows in that time
    std::unordered_map<std::string, std::uint64_t> seen;  // inode by key
  };

  std::optional<fs::path> known(const std::string& sha256);
  std::optional<fs::path> known_or_put(const std::string& sha256);
  void look();
  void look_into(StageKind kind, Shelf& shelf);
  void note(const Manifest& artifact);
  std::string next_number();
  static void put_away(Upload& upload, const fs::path& place);

  std::mutex mutex_;
  const fs::path root_;
  const Store store_;
  std::array<Shelf, kStageKindCount> shelves_;
  std::unordered_map<std::string, fs::path> files_;  // of artifacts, by SHA-256
  std::chrono::steady_clock::time_point looks_again_{};
  std::int64_t number_ = 0;
};

}  // namespace holdfast
