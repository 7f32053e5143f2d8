// Keeping a store within the bytes that it may take.
#pragma once

#include <map>
#include <set>
#include <string>
#include <tuple>
#include <utility>

#include "store/store_index.h"

namespace holdfast {

/// Weights and data that nobody holds are dropped while the store is over its budget, those that are cheapest to recompute per
/// byte first, after training checkpoints and weights that are only there to be mapped. Manifests stay, and so do replies and
/// verdicts, which are what a run is for. Each call costs the logarithm of the number of artifacts, and keep() the number of
/// trainings; the store is read again each time that this run's own artifacts made it grow by a quarter, so that what other
/// runs put there counts too.
class DiskBudget {
 public:
  /// 0 bytes: no budget, and nothing is ever dropped.
  DiskBudget(StoreIndex& index, std::uint64_t bytes);

  bool exceeded() const { return budget_ > 0 && stored() > budget_; }
  std::uint64_t budget() const { return budget_; }
  /// Bytes of all artifacts' files, training checkpoints and mapped weights, as far as this run knows.
  std::uint64_t stored() const { return artifact_bytes_ + other_bytes(); }

  /// Files that are still to be read, or are in the making. Counted: each hold is let go once.
  void hold(StageKind kind, const std::string& key);
  void let_go(StageKind kind, const std::string& key);
  /// The index has that artifact now.
  void added(StageKind kind, const std::string& key);
  /// The index is about to lose it.
  void leaving(StageKind kind, const std::string& key);
  /// Drops what may go until the store is within its budget.
  void keep();

 private:
  using Name = std::pair<StageKind, std::string>;

  void list();
  void count(StageKind kind, const std::string& key, const StoredArtifact& artifact);
  bool held(const std::string& key) const;
  std::uint64_t other_bytes() const;
  void drop_trainings();
  void drop_mapped();

  StoreIndex& index_;
  std::uint64_t budget_;
  std::uint64_t artifact_bytes_ = 0;
  std::map<Name, std::size_t> holds_;
  std::set<std::tuple<double, StageKind, std::string>> free_;  // by worth: artifacts with files that nobody holds
  std::size_t listed_ = 0;                                     // artifacts, when the store was read
  std::size_t added_ = 0;                                      // since
};

}  // namespace holdfast
