// Artifacts for tests.
#pragma once

#include <string>

#include "base/scratch_folder.h"
#include "store/store.h"

namespace holdfast {

/// Stores data.jsonl with that content.
inline Manifest put(Store& store, const std::string& key, const std::string& content, double seconds = 1,
                    StageKind kind = StageKind::kCollect) {
  const fs::path made = store.begin();
  write_file(made / "data.jsonl", content);
  Manifest manifest;
  manifest.kind = kind;
  manifest.key = key;
  manifest.digest = "digest of " + content;
  manifest.cost["seconds"] = seconds;
  return store.commit(made, manifest);
}

}  // namespace holdfast
