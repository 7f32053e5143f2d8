// A submission: a run as a folder that can be sent, checked and repeated (docs/leaderboard.md).
//
//   manifest.json         what is in it, with the SHA-256 of each file, and the submission's own digest
//   tries.jsonl           every setting of its defenses' plugins that the store knows of
//   results/              scenario.toml, run.json, cells.jsonl, stages.jsonl, samples/<key>.jsonl without any text
//   plugins/              the libraries that do not come with Holdfast
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "submission/rules.h"
#include "submission/tries.h"

namespace holdfast {

enum class Division { kClosed, kOpen };

struct PackOptions {
  fs::path results;
  fs::path store;
  fs::path out;  // a folder that is made; one with files in it is refused
  Division division = Division::kOpen;
  Json board;  // the closed division's scenario as JSON; null for the open one
};

struct Packed {
  std::vector<Broken> broken;  // of a closed entry: why it was refused, and nothing was written
  std::map<std::string, std::int64_t> tries;
  std::string digest;
  bool written = false;
};

/// Throws Error for folders that are not what they should be.
Packed pack(const PackOptions& options);

/// A submission as it lies in its folder.
struct Package {
  fs::path folder;
  Json manifest;
  Division division = Division::kOpen;

  fs::path results() const { return folder / "results"; }
  fs::path plugins() const { return folder / "plugins"; }
  /// The submission's own digest.
  std::string digest() const { return manifest.at("digest").get<std::string>(); }
};

/// Throws Error for a folder that is no submission.
Package read_package(const fs::path& folder);

/// A sentence for each file that is not what the manifest says, and one when the manifest is not what its digest says. None: it
/// is as it was packed.
std::vector<std::string> damaged(const Package& package);

}  // namespace holdfast
