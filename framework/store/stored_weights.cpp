#include "store/stored_weights.h"

#include <holdfast/error.h>

#include <algorithm>
#include <map>
#include <optional>

namespace holdfast {
namespace {

constexpr std::size_t kFewestDigits = 8;
constexpr std::size_t kKeyDigits = 64;
constexpr StageKind kOfWeights[] = {StageKind::kPretrain, StageKind::kAlign, StageKind::kFinetune, StageKind::kTamper,
                                    StageKind::kRepair};

bool leaves_weights(StageKind kind) {
  return std::find(std::begin(kOfWeights), std::end(kOfWeights), kind) != std::end(kOfWeights);
}

bool is_hexadecimal(const std::string& text) {
  return !text.empty() && text.find_first_not_of("0123456789abcdef") == std::string::npos;
}

struct StageName {
  std::string kind;  // empty: any
  std::string digits;
};

// Nothing where the text is no stage's name.
std::optional<StageName> stage_name(const std::string& text) {
  const auto slash = text.find('/');
  StageName name{slash == std::string::npos ? "" : text.substr(0, slash),
                 slash == std::string::npos ? text : text.substr(slash + 1)};
  if (!is_hexadecimal(name.digits) || name.digits.size() > kKeyDigits) return std::nullopt;
  if (name.kind.empty()) return name.digits.size() >= kFewestDigits ? std::optional(name) : std::nullopt;
  const auto& kinds = stage_kinds();
  const bool known = std::any_of(kinds.begin(), kinds.end(), [&](const auto& info) { return name.kind == info.word; });
  return known ? std::optional(name) : std::nullopt;
}

std::string short_name(StageKind kind, const std::string& key) {
  return std::string(to_string(kind)) + "/" + key.substr(0, 12);
}

std::string short_name(const Manifest& stage) { return short_name(stage.kind, stage.key); }

// Content digest of the weights that it started from; those of its checkpoint where it names no others.
std::string parent_digest(const Manifest& stage) {
  const Json& inputs = stage.document.at("inputs");
  return inputs.contains("weights") ? inputs.at("weights").get<std::string>()
                                    : stage.document.at("stage").at("base").get<std::string>();
}

bool changes_weights(const Manifest& stage) { return stage.digest != parent_digest(stage); }

// What changed weights on one checkpoint, by what it left. Equal content may have been made twice: one that has its files
// counts.
std::map<std::string, Manifest> changes_on(const Store& store, const std::string& base) {
  std::map<std::string, Manifest> changes;
  for (const StageKind kind : kOfWeights) {
    store.each_of(kind, [&](const Manifest& stage) {
      if (stage.document.at("stage").at("base") != base || !changes_weights(stage)) return;
      const auto [known, fresh] = changes.emplace(stage.digest, stage);
      if (!fresh && known->second.dropped && !stage.dropped) known->second = stage;
    });
  }
  return changes;
}

Manifest read(const Store& store, StageKind kind, const std::string& key) {
  try {
    return store.read(kind, key);
  } catch (const CorruptArtifact& corrupt) {
    throw Error("a stored file is damaged (" + std::string(corrupt.what()) + "): " + how_to_make_again(store, kind, key));
  }
}

void add_link(WeightsRef& weights, const Store& store, const Manifest& stage) {
  if (stage.dropped) {
    throw Error("the files of " + short_name(stage) +
                " were given up for the disk budget: " + how_to_make_again(store, stage.kind, stage.key));
  }
  weights.chain.push_back({stage.kind, stage.key, stage.digest});
}

}  // namespace

bool names_stage(const std::string& text) { return stage_name(text).has_value(); }

Manifest stored_stage(const Store& store, const std::string& name) {
  const auto wanted = stage_name(name);
  HOLDFAST_CHECK(wanted.has_value());
  if (wanted->digits.size() < kFewestDigits) {
    throw Error("\"" + name + "\" has " + std::to_string(wanted->digits.size()) +
                " digits of a stage's key, expected at least " + std::to_string(kFewestDigits));
  }
  std::optional<Manifest> found;
  for (const auto& info : stage_kinds()) {
    if (!wanted->kind.empty() && wanted->kind != info.word) continue;
    for (const auto& key : store.keys(info.kind)) {
      if (!key.starts_with(wanted->digits)) continue;
      if (found) {
        throw Error("\"" + name + "\" fits " + short_name(*found) + " and " + short_name(info.kind, key) +
                    ": give more digits, or the kind before them");
      }
      found = read(store, info.kind, key);
    }
  }
  if (!found) throw Error("the store " + store.root().string() + " has no stage \"" + name + "\"");
  return *found;
}

std::string how_to_make_again(const Store& store, StageKind kind, const std::string& key) {
  return "remove " + store.folder(kind, key).string() +
         " and run its scenario again, with a greater disk_budget_gib where it has one";
}

WeightsRef stored_weights(const Store& store, const Manifest& stage) {
  if (!leaves_weights(stage.kind)) {
    throw Error(short_name(stage) + " leaves no weights: name a pretrain, align, finetune, tamper or repair stage");
  }
  const Json& made_of = stage.document.at("stage");
  WeightsRef weights;
  weights.base = made_of.at("base").get<std::string>();
  const Json numerics = made_of.value("numerics", Json::object());  // of a pretrain stage neither matters
  weights.device = numerics.value("device", "cpu");
  weights.dtype = numerics.value("dtype", "default");
  const auto changes = changes_on(store, weights.base);
  if (changes_weights(stage)) add_link(weights, store, stage);
  for (std::string digest = parent_digest(stage); digest != weights.base;) {
    const auto found = changes.find(digest);
    if (found == changes.end()) {
      throw Error(short_name(stage) + " stands on weights with the digest " + digest.substr(0, 12) + "... that the store " +
                  store.root().string() + " does not hold: run its scenario again with this store, which makes them again");
    }
    add_link(weights, store, found->second);
    digest = parent_digest(found->second);
  }
  std::reverse(weights.chain.begin(), weights.chain.end());
  return weights;
}

}  // namespace holdfast
