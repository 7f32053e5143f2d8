// Weights that a worker keeps in memory between stages.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "learn/language_model.h"
#include "store/store.h"
#include "store/weights_ref.h"
#include "work/weight_files.h"

namespace holdfast {

inline constexpr const char* kChangeFile = "change.safetensors";

/// The child that a stage of that kind made of its parent. What a fine-tuning with LoRA made stays the parent's weights and
/// factors on them; everything else is whole, and shares what it leaves as it is.
std::shared_ptr<LanguageModel> child_weights(const LanguageModel& parent, StageKind kind, const fs::path& change);

/// Base checkpoints stay, the last two of them; of the others the last used ones do, within a number and a size. A child that
/// is factors on its parent's weights costs little, and goes with its parent.
class WeightCache {
 public:
  /// `least_shared`: as WeightFiles has it.
  explicit WeightCache(Store& store, std::uint64_t least_shared = 0) : store_(store), files_(store, least_shared) {}

  /// The weights, shared with other stages: share() or merge them before changing any. A checkpoint's own adapters are merged
  /// into its weights, for a child's file holds all that distinguishes it; those that a fine-tuning with LoRA made are there as
  /// adapters: whoever changes whole weights starts from LanguageModel::merged. Throws CorruptArtifact.
  std::shared_ptr<const LanguageModel> get(const WeightsRef& weights);
  /// Keeps weights that were just made, and freezes them. Gives them as they are kept: maybe in a file (WeightFiles).
  std::shared_ptr<const LanguageModel> put(const WeightsRef& weights, std::shared_ptr<LanguageModel> model);
  /// Content digests of what it holds.
  std::vector<std::string> digests() const;

 private:
  struct Entry {
    std::string name;
    std::string digest;
    std::shared_ptr<const LanguageModel> model;
    bool base = false;
    std::string parent = {};  // the entry on whose weights its adapters lie, or empty
    std::int64_t used = 0;

    bool whole() const { return parent.empty(); }
  };
  Entry* find(const std::string& name);
  void add(Entry entry);
  void remove(std::string name);
  void drop_old_base();
  std::uint64_t bytes() const;
  void make_room();

  Store& store_;
  WeightFiles files_;
  std::vector<Entry> entries_;
  std::int64_t clock_ = 0;
};

}  // namespace holdfast
