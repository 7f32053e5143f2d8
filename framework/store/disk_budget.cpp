#include "store/disk_budget.h"

#include <algorithm>

namespace holdfast {
namespace {

bool may_go(StageKind kind, const StoredArtifact& artifact) {
  return about(kind).droppable && !artifact.dropped && artifact.bytes > 0;
}

// Seconds to recompute a byte.
double worth(const StoredArtifact& artifact) { return artifact.seconds / static_cast<double>(artifact.bytes); }

}  // namespace

DiskBudget::DiskBudget(StoreIndex& index, std::uint64_t bytes) : index_(index), budget_(bytes) {
  if (budget_ > 0) list();
}

void DiskBudget::list() {
  artifact_bytes_ = listed_ = added_ = 0;
  free_.clear();
  index_.each([&](StageKind kind, const std::string& key, const StoredArtifact& artifact) {
    ++listed_;
    count(kind, key, artifact);
  });
}

void DiskBudget::count(StageKind kind, const std::string& key, const StoredArtifact& artifact) {
  if (!artifact.dropped) artifact_bytes_ += artifact.bytes;
  if (may_go(kind, artifact) && !holds_.contains({kind, key})) free_.emplace(worth(artifact), kind, key);
}

std::uint64_t DiskBudget::other_bytes() const {
  std::uint64_t bytes = 0;
  const auto add = [&](const fs::path&, std::uint64_t more) { bytes += more; };
  index_.store().each_training(add);
  index_.store().each_mapped(add);
  return bytes;
}

void DiskBudget::hold(StageKind kind, const std::string& key) {
  if (budget_ == 0 || ++holds_[{kind, key}] > 1) return;
  if (const StoredArtifact* artifact = index_.find(kind, key)) free_.erase({worth(*artifact), kind, key});
}

void DiskBudget::let_go(StageKind kind, const std::string& key) {
  if (budget_ == 0) return;
  const auto held = holds_.find({kind, key});
  if (--held->second > 0) return;
  holds_.erase(held);
  const StoredArtifact* artifact = index_.find(kind, key);
  if (artifact != nullptr && may_go(kind, *artifact)) free_.emplace(worth(*artifact), kind, key);
}

void DiskBudget::added(StageKind kind, const std::string& key) {
  if (budget_ == 0) return;
  ++added_;
  count(kind, key, *index_.find(kind, key));
}

void DiskBudget::leaving(StageKind kind, const std::string& key) {
  const StoredArtifact* artifact = budget_ == 0 ? nullptr : index_.find(kind, key);
  if (artifact == nullptr) return;
  free_.erase({worth(*artifact), kind, key});
  if (!artifact->dropped) artifact_bytes_ -= std::min(artifact_bytes_, artifact->bytes);
}

bool DiskBudget::held(const std::string& key) const {
  return std::any_of(stage_kinds().begin(), stage_kinds().end(), [&](const auto& info) {
    return holds_.contains({info.kind, key});
  });
}

void DiskBudget::drop_trainings() {
  std::uint64_t bytes = stored();
  index_.store().each_training([&](const fs::path& path, std::uint64_t freed) {
    const std::string name = path.filename().string();
    if (bytes <= budget_ || held(name.substr(0, name.find('.')))) return;
    std::error_code ignored;  // another process may have removed it first
    fs::remove(path, ignored);
    bytes -= freed;
  });
}

// Workers that have them mapped keep them.
void DiskBudget::drop_mapped() {
  std::uint64_t bytes = stored();
  std::vector<std::pair<fs::path, std::uint64_t>> all;
  index_.store().each_mapped([&](const fs::path& folder, std::uint64_t freed) { all.emplace_back(folder, freed); });
  for (const auto& [folder, freed] : all) {
    if (bytes <= budget_) return;
    index_.store().remove_mapped(folder);
    bytes -= freed;
  }
}

void DiskBudget::keep() {
  if (!exceeded()) return;
  if (added_ > listed_ / 4) {
    index_.list();
    list();
  }
  drop_trainings();
  drop_mapped();
  const std::uint64_t others = other_bytes();
  while (!free_.empty() && artifact_bytes_ + others > budget_) {
    const auto [worth, kind, key] = *free_.begin();
    leaving(kind, key);
    index_.drop(kind, key);
  }
}

}  // namespace holdfast
