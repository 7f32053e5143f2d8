#include "work/weight_cache.h"

#include <ATen/core/Tensor.h>

#include <algorithm>

#include "learn/checkpoint.h"
#include "learn/weight_change.h"

namespace holdfast {
namespace {

constexpr std::size_t kMostModels = 3;
constexpr std::uint64_t kMostBytes = 4ULL << 30;

std::uint64_t bytes_of(const LanguageModel& model) {
  std::uint64_t bytes = 0;
  for (const auto& [name, tensor] : model.decoder().weights()) bytes += tensor.nbytes();
  return bytes;
}

std::string name_of(const WeightsRef& weights, const std::string& digest) {
  return weights.base + " " + digest + " " + weights.device + " " + weights.dtype;
}

}  // namespace

WeightCache::Entry* WeightCache::find(const std::string& name) {
  const auto found = std::find_if(entries_.begin(), entries_.end(), [&](const Entry& entry) { return entry.name == name; });
  if (found == entries_.end()) return nullptr;
  found->used = ++clock_;
  return &*found;
}

void WeightCache::insert(const WeightsRef& weights, const std::string& digest, std::shared_ptr<LanguageModel> model,
                         bool base) {
  const std::string name = name_of(weights, digest);
  if (find(name) != nullptr) return;
  model->decoder().merge_adapters();
  model->freeze();
  if (base) drop_old_base();
  const std::uint64_t bytes = bytes_of(*model);
  entries_.push_back({name, digest, std::move(model), bytes, ++clock_, base});
  while (true) {
    std::uint64_t total = 0;
    std::size_t count = 0;
    auto oldest = entries_.end();
    for (auto entry = entries_.begin(); entry != entries_.end(); ++entry) {
      if (entry->base) continue;
      total += entry->bytes;
      ++count;
      if (oldest == entries_.end() || entry->used < oldest->used) oldest = entry;
    }
    if (count <= 1 || (count <= kMostModels && total <= kMostBytes)) return;
    entries_.erase(oldest);
  }
}

// Two bases stay: the model under test and a judge's own.
void WeightCache::drop_old_base() {
  const auto older = [](const Entry& a, const Entry& b) { return std::pair(!a.base, a.used) < std::pair(!b.base, b.used); };
  const auto bases = std::count_if(entries_.begin(), entries_.end(), [](const Entry& entry) { return entry.base; });
  if (bases > 1) entries_.erase(std::min_element(entries_.begin(), entries_.end(), older));
}

std::shared_ptr<const LanguageModel> WeightCache::get(const WeightsRef& weights) {
  std::size_t applied = weights.chain.size();  // links that the starting point already has
  std::shared_ptr<const LanguageModel> start;
  for (; applied > 0 && !start; --applied) {
    if (const Entry* entry = find(name_of(weights, weights.chain[applied - 1].digest))) {
      start = entry->model;
      break;
    }
  }
  if (!start) {
    const std::string name = name_of(weights, weights.base);
    if (find(name) == nullptr) insert(weights, weights.base, load_model(weights.source, {weights.device, weights.dtype}), true);
    start = find(name)->model;
  }
  if (applied == weights.chain.size()) return start;
  std::shared_ptr<LanguageModel> model = start->copy();
  std::string before = applied == 0 ? weights.base : weights.chain[applied - 1].digest;
  for (; applied < weights.chain.size(); ++applied) {
    const WeightsLink& link = weights.chain[applied];
    if (link.digest != before) apply_weight_change(*model, store_.file(link.kind, link.key, kChangeFile));
    before = link.digest;
  }
  put(weights, model);
  return model;
}

void WeightCache::put(const WeightsRef& weights, std::shared_ptr<LanguageModel> model) {
  insert(weights, weights.digest(), std::move(model), false);
}

std::vector<std::string> WeightCache::digests() const {
  std::vector<std::string> digests;
  for (const auto& entry : entries_) digests.push_back(entry.digest);
  return digests;
}

}  // namespace holdfast
