#include "remote/publishing.h"

#include <holdfast/error.h>

#include <algorithm>
#include <set>
#include <utility>

#include "base/untrusted.h"
#include "remote/leases.h"
#include "remote/refusal.h"

namespace holdfast {
namespace {

bool is_file_name(const std::string& name) {
  constexpr std::size_t kLongest = 200;
  return !name.empty() && name.size() <= kLongest && !name.starts_with('.') && name != "manifest.json" &&
         std::all_of(name.begin(), name.end(), [](char c) {
           return std::isalnum(static_cast<unsigned char>(c)) != 0 || std::string_view("-._").find(c) != std::string_view::npos;
         });
}

void check_files(const Manifest& manifest) {
  std::set<std::string> names;
  for (const auto& file : manifest.files) {
    if (!is_file_name(file.name) || !names.insert(file.name).second) {
      throw Refusal{400, "the manifest names the file " + in_quotes(file.name) + ": expected distinct plain names"};
    }
    if (!is_sha256(file.sha256)) {
      throw Refusal{400, "the manifest gives " + file.name + " the SHA-256 " + in_quotes(file.sha256) + ": expected 64 digits"};
    }
  }
}

// The stage of that key in what the lease's holder was told.
const Json& posted_stage(const Json& work, const Lease& lease, const std::string& key) {
  for (const auto& stage : work.at("stages")) {
    if (stage.at("key") == key) return stage;
  }
  throw Refusal{403, "the lease " + lease.name + " is of other work: the stage " + key + " is no part of it"};
}

void check_manifest(const Manifest& manifest, const std::string& key, const Json& stage) {
  if (manifest.key != key) throw Refusal{400, "the manifest names the key " + in_quotes(manifest.key) + ", expected " + key};
  if (manifest.dropped)
    throw Refusal{400, "the manifest says that its files were dropped: expected an artifact with its files"};
  if (to_string(manifest.kind) != stage.at("kind") || manifest.document != stage.at("document")) {
    throw Refusal{400, "the manifest is of another stage than the one that was posted under the key " + key};
  }
  check_files(manifest);
}

// Content is never written in place, so that two names may share it.
void link_or_copy(const fs::path& from, const fs::path& to) {
  std::error_code failure;
  fs::create_hard_link(from, to, failure);
  if (failure) fs::copy_file(from, to, failure);
  if (failure) throw Error("cannot write " + to.string() + ": " + failure.message());
}

}  // namespace

std::optional<Manifest> manifest_in(const std::string& text) {
  const Json json = json_or_discarded(text);
  if (!json.is_object() || !json.contains("format") || !json.contains("kind") || !json.contains("key")) return std::nullopt;
  try {
    return manifest_from_json(json);
  } catch (const std::exception&) {
    return std::nullopt;
  }
}

Publishing::Publishing(fs::path store, Blobs& blobs) : store_(std::move(store)), blobs_(blobs) {}

std::optional<Manifest> Publishing::find_of(StageKind kind, const std::string& key) {
  const std::lock_guard lock(mutex_);
  return store_.find(kind, key);
}

std::optional<Manifest> Publishing::find(const std::string& key) {
  for (const auto& info : stage_kinds()) {
    if (auto found = find_of(info.kind, key)) {
      blobs_.add(*found);
      return found;
    }
  }
  return std::nullopt;
}

Manifest Publishing::publish(const Lease& lease, const Json& work, const std::string& key, Manifest manifest) {
  check_manifest(manifest, key, posted_stage(work, lease, key));
  if (auto winner = find_of(manifest.kind, key); winner && !winner->dropped) return *winner;
  manifest.lease = {{"worker", lease.worker}, {"token", lease.token}};
  try {
    const Made made(*this, lease);
    fill(made.folder(), lease, manifest);
    Manifest published = adopt(made.folder(), manifest);
    blobs_.add(published);
    return published;
  } catch (const std::exception&) {  // whatever went wrong, it did because the lease's folder went away
    if (!is_held(lease)) refuse_lost(lease);
    throw;
  }
}

Publishing::Made::Made(Publishing& all, const Lease& lease) : all_(all) {
  const std::lock_guard lock(all_.mutex_);
  folder_ = all_.store_.begin(lease.folder);
}

Publishing::Made::~Made() { all_.store_.abandon(folder_); }

void Publishing::fill(const fs::path& made, const Lease& lease, const Manifest& manifest) {
  Json missing = Json::array();
  for (const auto& file : manifest.files) {
    const auto found = blobs_.find(file.sha256, lease);
    if (!found) {
      missing.push_back(file.sha256);
      continue;
    }
    link_or_copy(*found, made / file.name);
    sync_path(made / file.name);  // now, and not while others wait for the store
    const auto bytes = fs::file_size(made / file.name);
    if (bytes == file.bytes) continue;
    throw Refusal{400, "the manifest gives " + file.name + " " + std::to_string(file.bytes) + " bytes, and its content has " +
                           std::to_string(bytes)};
  }
  if (missing.empty()) return;
  throw Refusal{409,
                std::to_string(missing.size()) + " of the artifact's files are not here: put them under /cas first",
                {{"missing", std::move(missing)}}};
}

Manifest Publishing::adopt(const fs::path& made, const Manifest& manifest) {
  const std::lock_guard lock(mutex_);
  return store_.adopt(made, manifest);
}

}  // namespace holdfast
