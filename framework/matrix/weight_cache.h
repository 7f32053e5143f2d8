// Weights that a worker keeps in memory between stages.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "learn/language_model.h"
#include "matrix/store.h"

namespace holdfast {

/// One step from a parent's weights to a child's.
struct WeightsLink {
  StageKind kind;
  std::string key;
  std::string digest;  // content digest of the child's weights
};

/// Weights by value: a checkpoint, and the changes on top of it.
struct WeightsRef {
  std::string source, device, dtype;
  std::string base;  // checkpoint digest
  std::vector<WeightsLink> chain;

  const std::string& digest() const { return chain.empty() ? base : chain.back().digest; }
};

Json to_json(const WeightsRef& weights);
WeightsRef weights_ref_from_json(const Json& json);

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
