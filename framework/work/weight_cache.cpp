#include "work/weight_cache.h"

#include <algorithm>
#include <set>
#include <utility>

#include "learn/weight_change.h"
#include "model/mapped_tensor.h"

namespace holdfast {
namespace {

constexpr std::int64_t kMostWhole = 3;
constexpr std::int64_t kMostAdapted = 64;
constexpr std::uint64_t kMostBytes = 4ULL << 30;

std::string name_of(const WeightsRef& weights, const std::string& digest) {
  return weights.base + " " + digest + " " + weights.device + " " + weights.dtype;
}

// Of what the last change was made to; links that changed nothing count for none.
std::string parent_digest(const WeightsRef& weights) {
  for (auto link = weights.chain.rbegin(); link != weights.chain.rend(); ++link) {
    if (link->digest != weights.digest()) return link->digest;
  }
  return weights.base;
}

WeightsRef first_links(WeightsRef weights, std::size_t links) {
  weights.chain.resize(links);
  return weights;
}

}  // namespace

std::shared_ptr<LanguageModel> child_weights(const LanguageModel& parent, StageKind kind, const fs::path& change) {
  if (kind == StageKind::kFinetune) return adapted_child(parent, change);
  std::shared_ptr<LanguageModel> child = parent.merged();
  apply_weight_change(*child, change);
  return child;
}

WeightCache::Entry* WeightCache::find(const std::string& name) {
  const auto found = std::find_if(entries_.begin(), entries_.end(), [&](const Entry& entry) { return entry.name == name; });
  if (found == entries_.end()) return nullptr;
  if (!found->whole()) find(found->parent);
  found->used = ++clock_;
  return &*found;
}

void WeightCache::add(Entry entry) {
  if (find(entry.name) != nullptr) return;
  if (entry.base) drop_old_base();
  entry.used = ++clock_;
  entries_.push_back(std::move(entry));
  make_room();
}

// With what lies on it.
void WeightCache::remove(std::string name) {
  std::erase_if(entries_, [&](const Entry& entry) { return entry.name == name || entry.parent == name; });
}

// That the bases and files do not hold; what several entries share counts once.
std::uint64_t WeightCache::bytes() const {
  std::set<const void*> seen;
  std::uint64_t bytes = 0;
  for (const bool base : {true, false}) {
    const auto count = [&](const at::Tensor& tensor) {
      if (seen.insert(tensor.const_data_ptr()).second && !base && !lies_in_file(tensor)) bytes += tensor.nbytes();
    };
    for (const auto& entry : entries_) {
      if (entry.base != base) continue;
      for (const auto& [name, weight] : entry.model->decoder().weights()) count(weight);
      for (const auto& [module, lora] : entry.model->decoder().adapters()) {
        count(lora.a);
        count(lora.b);
      }
    }
  }
  return bytes;
}

// The last used one stays, whatever its size.
void WeightCache::make_room() {
  const auto least_used = [](const Entry* a, const Entry* b) { return a->used < b->used; };
  while (true) {
    std::vector<const Entry*> whole, adapted;
    for (const auto& entry : entries_) {
      if (entry.base) continue;
      (entry.whole() ? whole : adapted).push_back(&entry);
    }
    const bool many = static_cast<std::int64_t>(whole.size()) > kMostWhole, large = bytes() > kMostBytes;
    if (whole.size() > 1 && (many || large)) {
      remove((*std::min_element(whole.begin(), whole.end(), least_used))->name);
    } else if (adapted.size() > 1 && (large || static_cast<std::int64_t>(adapted.size()) > kMostAdapted)) {
      remove((*std::min_element(adapted.begin(), adapted.end(), least_used))->name);
    } else {
      return;
    }
  }
}

// Two bases stay: the model under test and a judge's own.
void WeightCache::drop_old_base() {
  const auto older = [](const Entry& a, const Entry& b) { return std::pair(!a.base, a.used) < std::pair(!b.base, b.used); };
  const auto bases = std::count_if(entries_.begin(), entries_.end(), [](const Entry& entry) { return entry.base; });
  if (bases > 1) remove(std::min_element(entries_.begin(), entries_.end(), older)->name);
}

std::shared_ptr<const LanguageModel> WeightCache::get(const WeightsRef& weights) {
  std::size_t applied = weights.chain.size();  // links that the starting point already has
  std::shared_ptr<const LanguageModel> start;
  for (; applied > 0; --applied) {
    if (const Entry* entry = find(name_of(weights, weights.chain[applied - 1].digest))) {
      start = entry->model;
      break;
    }
  }
  if (!start) {
    const std::string name = name_of(weights, weights.base);
    if (const Entry* entry = find(name)) {
      start = entry->model;
    } else {
      const std::shared_ptr<LanguageModel> model = files_.checkpoint(weights);
      model->freeze();
      start = model;
      add({name, weights.base, start, true});
    }
  }
  for (std::size_t links = weights.chain.size(); links > applied; --links) {
    const WeightsRef part = first_links(weights, links);
    if (const auto found = files_.find(part, *start)) {
      start = put(part, found);
      applied = links;
    }
  }
  if (applied == weights.chain.size()) return start;
  std::string before = applied == 0 ? weights.base : weights.chain[applied - 1].digest;
  for (; applied < weights.chain.size(); ++applied) {
    const WeightsLink& link = weights.chain[applied];
    if (link.digest != before) {
      start = put(first_links(weights, applied + 1),
                  child_weights(*start, link.kind, store_.file(link.kind, link.key, kChangeFile)));
    }
    before = link.digest;
  }
  return start;
}

std::shared_ptr<const LanguageModel> WeightCache::put(const WeightsRef& weights, std::shared_ptr<LanguageModel> model) {
  const std::string name = name_of(weights, weights.digest()), parent = name_of(weights, parent_digest(weights));
  if (const Entry* kept = find(name)) return kept->model;
  const std::shared_ptr<LanguageModel> settled = files_.settled(weights, std::move(model));
  settled->freeze();
  Entry entry{name, weights.digest(), settled, false};
  if (!std::as_const(*settled).decoder().adapters().empty() && find(parent) != nullptr) entry.parent = parent;
  add(std::move(entry));
  return settled;
}

std::vector<std::string> WeightCache::digests() const {
  std::vector<std::string> digests;
  for (const auto& entry : entries_) digests.push_back(entry.digest);
  return digests;
}

}  // namespace holdfast
