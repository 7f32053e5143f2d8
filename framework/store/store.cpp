#include "store/store.h"

#include <fcntl.h>
#include <holdfast/error.h>
#include <holdfast/log.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <thread>

#include "base/digest.h"
#include "base/process_name.h"
#include "base/untrusted.h"

namespace holdfast {
namespace {

constexpr int kManifestFormat = 1;
const std::string kManifest = "manifest.json";
const std::string kTrainings = "trainings";
const std::string kMapped = "mapped";

// Of this process, in which several stores may be of one folder.
std::string next_number() {
  static std::atomic<std::int64_t> last = 0;
  return std::to_string(++last);
}

// Where a file server is away, say, or a permission is missing, nobody knows whether the file is damaged. Throws Error.
void check_within_reach(const fs::path& file) {
  const int descriptor = ::open(file.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor >= 0) ::close(descriptor);
  if (descriptor >= 0 || errno == ENOENT || errno == ENOTDIR) return;
  throw Error("cannot read " + file.string() + ": " + reason_of(errno));
}

}  // namespace

Json to_json(const Manifest& manifest) {
  Json files = Json::array();
  for (const auto& file : manifest.files) {
    files.push_back({{"name", file.name}, {"bytes", file.bytes}, {"sha256", file.sha256}});
  }
  Json json = {{"format", kManifestFormat},   {"kind", to_string(manifest.kind)}, {"key", manifest.key},
               {"inputs", manifest.document}, {"digest", manifest.digest},        {"files", files},
               {"cost", manifest.cost},       {"reports", manifest.reports},      {"versions", manifest.versions}};
  if (!manifest.lease.is_null()) json["lease"] = manifest.lease;
  if (manifest.dropped) json["dropped"] = true;
  return json;
}

Manifest manifest_from_json(const Json& json) {
  if (json.at("format") != kManifestFormat) throw Error("it has another format");
  Manifest manifest;
  manifest.kind = stage_kind(json.at("kind").get<std::string>());
  manifest.key = json.at("key").get<std::string>();
  manifest.document = json.at("inputs");
  manifest.digest = json.at("digest").get<std::string>();
  for (const auto& file : json.at("files")) {
    manifest.files.push_back(
        {file.at("name").get<std::string>(), whole_size(file.at("bytes")), file.at("sha256").get<std::string>()});
  }
  manifest.cost = json.at("cost");
  manifest.reports = json.at("reports");
  manifest.versions = json.at("versions");
  manifest.lease = json.value("lease", Json());
  manifest.dropped = json.value("dropped", false);
  return manifest;
}

std::uint64_t Manifest::bytes() const {
  std::uint64_t sum = 0;
  for (const auto& file : files) sum += file.bytes;
  return sum;
}

Store::Store(fs::path root, double patience) : root_(fs::absolute(root).lexically_normal()), patience_(patience) {
  std::error_code failure;
  fs::create_directories(root_ / "tmp", failure);
  if (failure || ::access((root_ / "tmp").c_str(), W_OK) != 0) {
    throw Error("cannot write the store " + root_.string() + ": " + (failure ? failure.message() : std::strerror(errno)) +
                "; choose another folder with --store");
  }
  remove_abandoned(root_);
}

void remove_abandoned(const fs::path& store) {
  std::error_code gone;  // with another process, which may be removing the same
  for (const auto& entry : fs::directory_iterator(store / "tmp", gone)) {
    const std::string name = entry.path().filename().string();
    if (process_is_gone(name.substr(0, name.find('.')))) fs::remove_all(entry.path(), gone);
  }
}

fs::path Store::folder(StageKind kind, const std::string& key) const { return root_ / to_string(kind) / key; }

Manifest Store::read_manifest(StageKind kind, const std::string& key) const {
  const fs::path path = folder(kind, key) / kManifest;
  Manifest manifest;
  try {
    manifest = manifest_from_json(parse_json(read_file(path), path.string()));
  } catch (const std::exception& error) {
    check_within_reach(path);
    throw CorruptArtifact(kind, key, error.what());
  }
  if (manifest.key != key) throw CorruptArtifact(kind, key, path.string() + " names another key");
  if (manifest.kind != kind) throw CorruptArtifact(kind, key, path.string() + " names another kind");
  if (manifest.dropped) return manifest;
  for (const auto& file : manifest.files) {
    const fs::path found = folder(kind, key) / file.name;
    std::error_code failure;
    if (fs::file_size(found, failure) != file.bytes || failure) {
      check_within_reach(found);
      throw CorruptArtifact(kind, key, found.string() + " is not " + std::to_string(file.bytes) + " bytes long");
    }
  }
  return manifest;
}

std::optional<Manifest> Store::find(StageKind kind, const std::string& key) {
  std::error_code failure;
  if (!fs::exists(folder(kind, key), failure)) return std::nullopt;
  try {
    return read_manifest(kind, key);
  } catch (const CorruptArtifact& corrupt) {
    log_warning("a stored artifact is damaged and will be computed again: " + std::string(corrupt.what()));
    discard(kind, key);
    return std::nullopt;
  }
}

// Looking into the folder above has a file server's client ask anew for what is in it.
void Store::look_anew(StageKind kind, const std::string& key) const {
  std::error_code ignored;
  for (const auto& above : {root_ / to_string(kind), folder(kind, key)}) fs::directory_iterator(above, ignored);
}

bool Store::shows(StageKind kind, const std::string& key) const {
  std::error_code ignored;
  if (fs::exists(folder(kind, key), ignored)) return true;
  look_anew(kind, key);
  return fs::exists(folder(kind, key), ignored);
}

Manifest Store::await(StageKind kind, const std::string& key) const {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::duration<double>(patience_);
  for (;;) {
    try {
      std::error_code failure;
      if (!fs::exists(folder(kind, key), failure)) {
        throw CorruptArtifact(kind, key, folder(kind, key).string() + " is gone" + (failure ? ": " + failure.message() : ""));
      }
      return read_manifest(kind, key);
    } catch (const std::exception&) {
      if (std::chrono::steady_clock::now() >= deadline) throw;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    look_anew(kind, key);
  }
}

fs::path Store::file(StageKind kind, const std::string& key, const std::string& name) {
  const fs::path path = folder(kind, key) / name;
  if (verified_.contains(path.string()) && fs::exists(path)) return path;
  const Manifest manifest = await(kind, key);
  if (manifest.dropped) throw CorruptArtifact(kind, key, path.string() + " was dropped for the disk budget");
  const auto file = std::find_if(manifest.files.begin(), manifest.files.end(), [&](const auto& f) { return f.name == name; });
  if (file == manifest.files.end()) throw CorruptArtifact(kind, key, path.string() + " is missing");
  if (sha256_file(path) != file->sha256) throw CorruptArtifact(kind, key, path.string() + " does not have its SHA-256");
  verified_.insert(path.string());
  return path;
}

void Store::check(StageKind kind, const std::string& key) {
  for (const auto& each : await(kind, key).files) file(kind, key, each.name);
}

void Store::discard(StageKind kind, const std::string& key) { remove(folder(kind, key)); }

void Store::remove(const fs::path& place) {
  const fs::path trash = temporary();
  const std::string inside = place.string() + "/";
  for (auto path = verified_.lower_bound(inside); path != verified_.end() && path->starts_with(inside);) {
    path = verified_.erase(path);
  }
  std::error_code ignored;  // another process may have removed it first
  fs::rename(place, trash, ignored);
  fs::remove_all(trash, ignored);
}

fs::path Store::temporary() const { return root_ / "tmp" / (process_name() + "." + next_number()); }

fs::path Store::begin(const fs::path& lease) {
  const fs::path made = lease.empty() ? temporary() : lease / ("made." + next_number());
  std::error_code failure;
  fs::create_directory(made, failure);
  if (failure) throw Error("cannot store an artifact at " + made.string() + ": " + reason_of(failure.value()));
  return made;
}

Manifest Store::commit(const fs::path& made, Manifest manifest) {
  manifest.files.clear();
  std::error_code failure;
  for (const auto& entry : fs::directory_iterator(made, failure)) {
    const std::uint64_t bytes = fs::file_size(entry.path(), failure);
    if (failure) break;
    manifest.files.push_back({entry.path().filename().string(), bytes, sha256_file(entry.path())});
  }
  if (failure) throw Error("cannot store an artifact that was made at " + made.string() + ": " + failure.message());
  std::sort(manifest.files.begin(), manifest.files.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
  return adopt(made, manifest);
}

Manifest Store::adopt(const fs::path& made, const Manifest& manifest) {
  for (const auto& file : manifest.files) sync_path(made / file.name);
  write_file(made / kManifest, to_json(manifest).dump(1) + "\n");
  sync_path(made);
  const fs::path place = folder(manifest.kind, manifest.key);
  std::error_code failure;
  fs::create_directories(place.parent_path(), failure);
  if (failure) throw Error("cannot store " + place.string() + ": " + reason_of(failure.value()));
  for (bool again = false; ::rename(made.c_str(), place.c_str()) != 0; again = true) {
    const int reason = errno;
    if (!fs::exists(made, failure) && !failure) return published(made, manifest);
    const auto winner = find(manifest.kind, manifest.key);
    if (winner && !winner->dropped) {
      abandon(made);
      return *winner;
    }
    if (again || (reason != ENOTEMPTY && reason != EEXIST)) {
      throw Error("cannot store " + place.string() + ": " + reason_of(reason));
    }
    if (winner) discard(manifest.kind, manifest.key);  // a damaged artifact, or one without its files, stood there until now
  }
  sync_path(place.parent_path());
  return manifest;
}

// What was made is not where it was made: a file server did what it denies, for an answer was lost, or somebody took it away.
Manifest Store::published(const fs::path& made, const Manifest& manifest) const {
  const std::string place = folder(manifest.kind, manifest.key).string();
  try {
    Manifest there = await(manifest.kind, manifest.key);
    if (there.lease == manifest.lease) return there;
  } catch (const CorruptArtifact&) {  // then it is not there
  }
  throw Error("cannot store " + place + ": " + made.string() + " was taken away" +
              (manifest.lease.is_null() ? "" : ", so the lease is lost"));
}

void Store::abandon(const fs::path& made) {
  std::error_code ignored;  // nothing depends on it: the next run removes what is left
  fs::remove_all(made, ignored);
}

fs::path Store::training_checkpoint(const std::string& key) const { return root_ / kTrainings / (key + ".safetensors"); }

void Store::remove_training_checkpoints(const std::string& key) {
  std::vector<fs::path> of_stage;
  each_training([&](const fs::path& path, std::uint64_t) {
    if (path.filename().string().starts_with(key + ".")) of_stage.push_back(path);
  });
  std::error_code ignored;  // another process may have removed it first
  for (const auto& path : of_stage) fs::remove(path, ignored);
}

void Store::each(const std::function<void(const Manifest&)>& visit) const {
  for (const auto& info : stage_kinds()) each_of(info.kind, visit);
}

void Store::each_of(StageKind kind, const std::function<void(const Manifest&)>& visit) const {
  for (const auto& key : keys(kind)) {
    std::optional<Manifest> manifest;
    try {
      manifest = read_manifest(kind, key);
    } catch (const std::exception&) {
      continue;  // found and reported when someone needs it
    }
    visit(*manifest);
  }
}

std::vector<std::string> Store::keys(StageKind kind) const {
  std::vector<std::string> keys;
  std::error_code none;  // no stage of that kind was stored yet
  for (const auto& entry : fs::directory_iterator(root_ / to_string(kind), none)) {
    keys.push_back(entry.path().filename().string());
  }
  std::sort(keys.begin(), keys.end());
  return keys;
}

void Store::each_training(const std::function<void(const fs::path&, std::uint64_t bytes)>& visit) const {
  std::error_code none;  // no training was stopped yet
  for (const auto& entry : fs::directory_iterator(root_ / kTrainings, none)) {
    std::error_code gone;  // it ended meanwhile
    const std::uint64_t bytes = entry.file_size(gone);
    if (!gone) visit(entry.path(), bytes);
  }
}

fs::path Store::mapped(const std::string& name) const { return root_ / kMapped / name; }

void Store::each_mapped(const std::function<void(const fs::path& folder, std::uint64_t bytes)>& visit) const {
  std::error_code gone;  // none was written yet, or another process is removing one
  for (const auto& folder : fs::directory_iterator(root_ / kMapped, gone)) {
    std::uint64_t bytes = 0;
    for (const auto& file : fs::directory_iterator(folder.path(), gone)) {
      const std::uint64_t size = file.file_size(gone);
      if (!gone) bytes += size;
    }
    visit(folder.path(), bytes);
  }
}

// First the word that they are gone, then they go: a crash between leaves files that nobody reads.
bool Store::drop(StageKind kind, const std::string& key) {
  std::optional<Manifest> manifest = find(kind, key);
  if (!manifest) return false;
  const fs::path place = folder(kind, key);
  manifest->dropped = true;
  write_file(place / kManifest, to_json(*manifest).dump(1) + "\n");
  std::error_code ignored;  // another process may have removed it first
  for (const auto& file : manifest->files) {
    verified_.erase((place / file.name).string());
    fs::remove(place / file.name, ignored);
  }
  return true;
}

}  // namespace holdfast
