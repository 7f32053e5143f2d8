// Immutable, content-addressed artifacts on disk: <store>/<kind>/<key>/ with a manifest.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/json.h"
#include "store/stage_kind.h"

namespace holdfast {

struct StoredFile {
  std::string name;
  std::uint64_t bytes = 0;
  std::string sha256;
};

struct Manifest {
  StageKind kind = StageKind::kAlign;
  std::string key;
  Json document;       // what the key is the digest of
  std::string digest;  // of the content: what keys downstream see
  std::vector<StoredFile> files;
  Json cost = Json::object();     // {"seconds", "tokens", "forward_tokens", ...}: docs/results.md
  Json reports = Json::object();  // figures of the stage: {name: {"value", "n"}}
  Json versions = Json::object();
  Json lease = {};       // under which a worker published it: {"worker", "token"}; null where it came without one
  bool dropped = false;  // the files were given up for the disk budget; what they held is still known by its digest

  std::uint64_t bytes() const;  // of the files
};

/// As manifest.json holds it, and back. The latter throws where the JSON is no manifest.
Json to_json(const Manifest& manifest);
Manifest manifest_from_json(const Json& json);

/// A file of an artifact was found damaged, or is not there; the run computes the artifact again.
class CorruptArtifact : public std::exception {
 public:
  CorruptArtifact(StageKind kind, std::string key, std::string reason)
      : kind(kind), key(std::move(key)), reason_(std::move(reason)) {}
  const char* what() const noexcept override { return reason_.c_str(); }
  StageKind kind;
  std::string key;

 private:
  std::string reason_;
};

/// Removes what processes of this machine that are gone left half made in the store there.
void remove_abandoned(const fs::path& store);

/// Two processes may share a store: artifacts appear by rename, whole or not at all, and the first of two equal ones stays.
class Store {
 public:
  /// Makes the folder and removes temporary folders whose process is gone. `patience`: the seconds for which what another
  /// machine is known to have stored may not be seen yet. Throws Error when the folder cannot be written.
  explicit Store(fs::path root, double patience = 0);

  const fs::path& root() const { return root_; }
  fs::path folder(StageKind kind, const std::string& key) const;

  /// The manifest, or nothing when there is no whole artifact: a torn one (unreadable manifest, missing file, wrong size) is
  /// removed with a warning. A dropped artifact has its manifest only. Throws Error where it cannot be read, whatever it holds.
  std::optional<Manifest> find(StageKind kind, const std::string& key);
  /// Whether something of that name is there; a file server is asked anew.
  bool shows(StageKind kind, const std::string& key) const;
  /// Path of one file of an artifact; its SHA-256 is checked on first use by this process. Throws CorruptArtifact.
  fs::path file(StageKind kind, const std::string& key, const std::string& name);
  /// Checks the SHA-256 of all its files. Throws CorruptArtifact.
  void check(StageKind kind, const std::string& key);
  /// Removes an artifact, whole.
  void discard(StageKind kind, const std::string& key);

  /// A new empty folder on the store's disk for an artifact in the making: in `lease`, which must be there, where one is given
  /// (queue/queue.h). Throws Error when it cannot be made.
  fs::path begin(const fs::path& lease = {});
  /// Fills in the files' sizes and digests, writes the manifest, syncs, and renames `made` to its place. When another process
  /// was faster its artifact stays; one without files is replaced. Returns the manifest that counts. Throws Error where `made`
  /// was taken away, which is how a lost lease ends.
  Manifest commit(const fs::path& made, Manifest manifest);
  /// The same for an artifact that was made elsewhere: `made` holds the files that the manifest names, whose digests were
  /// checked while they were written, and the manifest stays as it is.
  Manifest adopt(const fs::path& made, const Manifest& manifest);
  void abandon(const fs::path& made);

  /// Where the stage of that key keeps a training that may be stopped; it is no artifact. A stage with several puts their
  /// numbers before the extension.
  fs::path training_checkpoint(const std::string& key) const;
  /// Removes all of that stage.
  void remove_training_checkpoints(const std::string& key);

  /// Calls `visit` with every readable manifest, or those of one kind.
  void each(const std::function<void(const Manifest&)>& visit) const;
  void each_of(StageKind kind, const std::function<void(const Manifest&)>& visit) const;
  /// Keys of what lies there of a kind, sorted: whole, dropped or damaged.
  std::vector<std::string> keys(StageKind kind) const;
  /// The manifest of an artifact that is there. Throws CorruptArtifact.
  Manifest read(StageKind kind, const std::string& key) const { return read_manifest(kind, key); }

  /// Gives up the files of an artifact and keeps its manifest. False when it is not there.
  bool drop(StageKind kind, const std::string& key);
  /// Where weights lie that many processes map (store/mapped_weights.h); no artifact either.
  fs::path mapped(const std::string& name) const;
  void each_mapped(const std::function<void(const fs::path& folder, std::uint64_t bytes)>& visit) const;
  /// Whoever has it mapped keeps what it has.
  void remove_mapped(const fs::path& folder) { remove(folder); }
  /// Calls `visit` with every training checkpoint.
  void each_training(const std::function<void(const fs::path&, std::uint64_t bytes)>& visit) const;

 private:
  Manifest read_manifest(StageKind kind, const std::string& key) const;
  void look_anew(StageKind kind, const std::string& key) const;
  Manifest await(StageKind kind, const std::string& key) const;
  Manifest published(const fs::path& made, const Manifest& manifest) const;
  fs::path temporary() const;
  void remove(const fs::path& place);

  fs::path root_;
  double patience_;
  std::set<std::string> verified_;  // files whose digest this process has checked
};

}  // namespace holdfast
