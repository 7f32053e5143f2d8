// Stages of weights in a store, as workers leave them, but for how the weights came about.
#pragma once

#include <string>

#include "base/digest.h"
#include "store/store.h"

namespace holdfast {

/// Stores a stage on the weights with the digest `parent` (empty: the checkpoint itself), whose one file has this content.
/// `unchanged`: what it leaves is its parent.
inline Manifest store_stage(Store& store, StageKind kind, const std::string& base, const std::string& parent,
                            const std::string& content, bool unchanged = false) {
  Manifest manifest;
  manifest.kind = kind;
  Json inputs = Json::object();
  if (!parent.empty()) inputs["weights"] = parent;
  manifest.document = {
      {"inputs", inputs},
      {"kind", to_string(kind)},
      {"revision", 1},
      {"stage", {{"base", base}, {"numerics", {{"device", "cpu"}, {"dtype", "default"}}}, {"change", sha256(content)}}}};
  manifest.key = sha256(canonical(manifest.document));
  const std::string before = parent.empty() ? base : parent;
  manifest.digest = unchanged ? before : sha256(before + sha256(content));
  const fs::path made = store.begin();
  write_file(made / "change.safetensors", content);
  return store.commit(made, std::move(manifest));
}

}  // namespace holdfast
