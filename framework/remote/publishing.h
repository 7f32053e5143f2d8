// Artifacts of a served store as clients see them, by key alone, and how a worker publishes one.
#pragma once

#include <mutex>
#include <optional>
#include <string>

#include "queue/queue.h"
#include "remote/blobs.h"
#include "store/store.h"

namespace holdfast {

/// Manifests that clients send: nothing where the text is no manifest of ours, whatever else it is.
std::optional<Manifest> manifest_in(const std::string& text);

/// For any thread.
class Publishing {
 public:
  Publishing(fs::path store, Blobs& blobs);

  /// The artifact of that key, of whichever kind.
  std::optional<Manifest> find(const std::string& key);
  /// Publishes it under the lease, which must be held when it takes its place; `work` is what its holder was told, and the
  /// files were brought before. Where one is there already that one stays. Returns the manifest that counts. Throws Refusal:
  /// 400 for a manifest that is not of the lease's work, 403 for a key that is not, 409 with the digests of files that are
  /// missing, 410 where the lease is lost.
  Manifest publish(const Lease& lease, const Json& work, const std::string& key, Manifest manifest);

 private:
  /// A folder in the lease's own, gone with whatever does not leave it.
  class Made {
   public:
    Made(Publishing& all, const Lease& lease);
    ~Made();
    Made(const Made&) = delete;
    Made& operator=(const Made&) = delete;
    const fs::path& folder() const { return folder_; }

   private:
    Publishing& all_;
    fs::path folder_;
  };

  std::optional<Manifest> find_of(StageKind kind, const std::string& key);
  void fill(const fs::path& made, const Lease& lease, const Manifest& manifest);
  Manifest adopt(const fs::path& made, const Manifest& manifest);

  std::mutex mutex_;
  Store store_;
  Blobs& blobs_;
};

}  // namespace holdfast
