// Weights that a worker keeps in memory between stages.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "learn/language_model.h"
#include "store/store.h"
#include "store/weights_ref.h"

namespace holdfast {

inline constexpr const char* kChangeFile = "change.safetensors";

/// Base checkpoints stay, the last two of them; of the others the last used ones do, within a number and a size.
class WeightCache {
 public:
  explicit WeightCache(Store& store) : store_(store) {}

  /// The weights, shared: clone before changing them. They carry no adapters: a checkpoint's own are merged into its weights,
  /// for a child's file holds all that distinguishes it. Throws CorruptArtifact.
  std::shared_ptr<const LanguageModel> get(const WeightsRef& weights);
  /// Keeps weights that were just made, and freezes them.
  void put(const WeightsRef& weights, std::shared_ptr<LanguageModel> model);
  /// Content digests of what it holds.
  std::vector<std::string> digests() const;

 private:
  struct Entry {
    std::string name;
    std::string digest;
    std::shared_ptr<const LanguageModel> model;
    std::uint64_t bytes = 0;
    std::int64_t used = 0;
    bool base = false;
  };
  Entry* find(const std::string& name);
  void drop_old_base();
  void insert(const WeightsRef& weights, const std::string& digest, std::shared_ptr<LanguageModel> model, bool base);

  Store& store_;
  std::vector<Entry> entries_;
  std::int64_t clock_ = 0;
};

}  // namespace holdfast
