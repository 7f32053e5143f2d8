#include "remote/blobs.h"

#include <sys/stat.h>

#include <algorithm>
#include <utility>

#include "base/process_name.h"

namespace holdfast {
namespace {

constexpr std::size_t kSha256Digits = 64;
constexpr std::chrono::seconds kSettled(2);  // clocks of file systems are coarse
constexpr int kPause = 10;                   // between two looks, times what one took
constexpr const char* kServed = "served";    // folder of what is no artifact, in the store
constexpr const char* kBrought = "brought";  // in a lease's folder

// Few entries in one folder, as git has them.
fs::path place_of(const fs::path& folder, const std::string& digest) { return folder / digest.substr(0, 2) / digest; }

bool is_file(const fs::path& path) {
  std::error_code ignored;
  return fs::is_regular_file(path, ignored);
}

std::optional<fs::path> if_there(const fs::path& path) { return is_file(path) ? std::optional(path) : std::nullopt; }

std::uint64_t inode(const fs::path& path) {
  struct stat status {};
  return ::stat(path.c_str(), &status) == 0 ? status.st_ino : 0;
}

}  // namespace

bool is_sha256(const std::string& text) {
  return text.size() == kSha256Digits && text.find_first_not_of("0123456789abcdef") == std::string::npos;
}

Blobs::Blobs(fs::path store) : root_(std::move(store)), store_(root_) {}

std::optional<fs::path> Blobs::find(const std::string& sha256) {
  const std::lock_guard lock(mutex_);
  if (auto found = known_or_put(sha256)) return found;
  look();
  return known(sha256);
}

std::optional<fs::path> Blobs::find(const std::string& sha256, const Lease& lease) {
  if (auto brought = if_there(lease.folder / kBrought / sha256)) return brought;
  const std::lock_guard lock(mutex_);
  return known_or_put(sha256);
}

std::optional<fs::path> Blobs::known_or_put(const std::string& sha256) {
  if (auto found = known(sha256)) return found;
  return if_there(place_of(root_ / kServed / "cas", sha256));
}

// An artifact may have been given up for the disk budget.
std::optional<fs::path> Blobs::known(const std::string& sha256) {
  const auto found = files_.find(sha256);
  if (found == files_.end()) return std::nullopt;
  if (is_file(found->second)) return found->second;
  files_.erase(found);
  return std::nullopt;
}

void Blobs::look() {
  const auto begun = std::chrono::steady_clock::now();
  if (begun < looks_again_) return;
  for (const auto& info : stage_kinds()) look_into(info.kind, shelves_[static_cast<std::size_t>(info.kind)]);
  const auto looked = std::chrono::steady_clock::now();
  looks_again_ = looked + kPause * (looked - begun);
}

void Blobs::look_into(StageKind kind, Shelf& shelf) {
  std::error_code none;  // no stage of that kind was stored yet
  const auto changed = fs::last_write_time(root_ / to_string(kind), none);
  if (none || (shelf.settled && changed == shelf.changed)) return;
  const auto looked = std::chrono::steady_clock::now();
  if (changed != shelf.changed) shelf.since = looked;
  shelf.settled = looked - shelf.since > kSettled;
  shelf.changed = changed;
  for (const auto& key : store_.keys(kind)) {
    const std::uint64_t now = inode(store_.folder(kind, key));
    if (const auto seen = shelf.seen.find(key); seen != shelf.seen.end() && seen->second == now) continue;
    try {
      note(store_.read(kind, key));
      shelf.seen[key] = now;
    } catch (const CorruptArtifact&) {  // whoever needs it finds it and says so
    }
  }
}

void Blobs::add(const Manifest& artifact) {
  const std::lock_guard lock(mutex_);
  note(artifact);
}

void Blobs::note(const Manifest& artifact) {
  if (artifact.dropped) return;
  const fs::path folder = store_.folder(artifact.kind, artifact.key);
  for (const auto& file : artifact.files) files_[file.sha256] = folder / file.name;
}

std::string Blobs::next_number() {
  const std::lock_guard lock(mutex_);
  return std::to_string(++number_);
}

std::unique_ptr<Upload> Blobs::begin() {
  return std::make_unique<Upload>(root_ / "tmp" / (process_name() + ".put" + next_number()));
}

std::unique_ptr<Upload> Blobs::begin(const Lease& lease) {
  std::error_code lost;  // the next line says so
  fs::create_directory(lease.folder / kBrought, lost);
  return std::make_unique<Upload>(lease.folder / kBrought / ("put" + next_number()));
}

void Blobs::put_away(Upload& upload, const fs::path& place) {
  sync_path(upload.path());
  fs::create_directories(place.parent_path());
  upload.keep(place);
}

void Blobs::keep(Upload& upload, const std::string& sha256) { put_away(upload, place_of(root_ / kServed / "cas", sha256)); }

// Synced with the artifact that it becomes a part of.
void Blobs::keep(Upload& upload, const std::string& sha256, const Lease& lease) {
  upload.keep(lease.folder / kBrought / sha256);
}

std::optional<fs::path> Blobs::entry(const std::string& key) const { return if_there(place_of(root_ / kServed / "ac", key)); }

void Blobs::keep_entry(Upload& upload, const std::string& key) { put_away(upload, place_of(root_ / kServed / "ac", key)); }

}  // namespace holdfast
