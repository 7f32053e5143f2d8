// What a store holds, in memory: its manifests are read once, not once for each stage that asks.
#pragma once

#include <array>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <tuple>
#include <unordered_map>

#include "store/store.h"

namespace holdfast {

/// The part of a manifest that a run needs of thousands of artifacts.
struct StoredArtifact {
  std::string digest;
  std::uint64_t bytes = 0;  // of its files, also where they are dropped
  double seconds = 0;       // that making it took
  bool dropped = false;
};

/// A listing of the store, kept up with what this process does to it. Other runs may add to the store meanwhile, and drop from
/// it: look_again() sees what they added, and who reads a file finds out what they took away.
class StoreIndex {
 public:
  /// Reads every manifest. Damaged artifacts are left out.
  explicit StoreIndex(Store& store);

  Store& store() const { return store_; }
  /// Null when it did not hold that artifact.
  const StoredArtifact* find(StageKind kind, const std::string& key) const;
  /// The same, and on the disk where the listing has none; a damaged artifact there is removed with a warning.
  const StoredArtifact* look_again(StageKind kind, const std::string& key);
  /// On the disk, whatever the listing has.
  const StoredArtifact* read_again(StageKind kind, const std::string& key);
  void each(const std::function<void(StageKind, const std::string& key, const StoredArtifact&)>& visit) const;

  /// What stages of that kind took in the mean, on that base checkpoint (its digest) and with that plugin, when the store was
  /// listed. Either is empty where a stage has none.
  std::optional<double> mean_seconds(StageKind kind, const std::string& base, const std::string& plugin) const;

  /// A worker stored it.
  void add(StageKind kind, const std::string& key, StoredArtifact artifact);
  /// As Store::discard and Store::drop.
  void discard(StageKind kind, const std::string& key);
  void drop(StageKind kind, const std::string& key);
  /// Reads every manifest again.
  void list();

 private:
  struct Mean {
    double sum = 0;
    double count = 0;
  };
  using Shelf = std::unordered_map<std::string, StoredArtifact>;

  Shelf& shelf(StageKind kind) { return shelves_[static_cast<std::size_t>(kind)]; }
  const Shelf& shelf(StageKind kind) const { return shelves_[static_cast<std::size_t>(kind)]; }

  Store& store_;
  std::array<Shelf, kStageKindCount> shelves_;  // by kind, of artifacts by key
  std::map<std::tuple<StageKind, std::string, std::string>, Mean> means_;
};

}  // namespace holdfast
