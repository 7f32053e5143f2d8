#include "store/store_index.h"

namespace holdfast {
namespace {

StoredArtifact artifact_of(const Manifest& manifest) {
  return {manifest.digest, manifest.bytes(), manifest.cost.value("seconds", 0.0), manifest.dropped};
}

}  // namespace

StoreIndex::StoreIndex(Store& store) : store_(store) { list(); }

void StoreIndex::list() {
  for (auto& shelf : shelves_) shelf.clear();
  means_.clear();
  store_.each([&](const Manifest& manifest) {
    shelf(manifest.kind)[manifest.key] = artifact_of(manifest);
    if (!manifest.document.contains("stage")) return;
    const Json& stage = manifest.document.at("stage");
    std::string plugin = stage.contains("plugin") ? stage.at("plugin").at("name").get<std::string>() : "";
    for (const auto& member : stage.value("plugins", Json::array())) {  // of a stack
      plugin += (plugin.empty() ? "" : " + ") + member.at("name").get<std::string>();
    }
    Mean& mean = means_[{manifest.kind, stage.value("base", std::string()), plugin}];
    mean.sum += manifest.cost.value("seconds", 0.0);
    ++mean.count;
  });
}

const StoredArtifact* StoreIndex::find(StageKind kind, const std::string& key) const {
  const auto found = shelf(kind).find(key);
  return found == shelf(kind).end() ? nullptr : &found->second;
}

const StoredArtifact* StoreIndex::look_again(StageKind kind, const std::string& key) {
  const StoredArtifact* known = find(kind, key);
  return known != nullptr ? known : read_again(kind, key);
}

const StoredArtifact* StoreIndex::read_again(StageKind kind, const std::string& key) {
  shelf(kind).erase(key);
  const auto manifest = store_.find(kind, key);
  if (!manifest) return nullptr;
  return &(shelf(kind)[key] = artifact_of(*manifest));
}

void StoreIndex::each(const std::function<void(StageKind, const std::string&, const StoredArtifact&)>& visit) const {
  for (const auto& info : stage_kinds()) {
    for (const auto& [key, artifact] : shelf(info.kind)) visit(info.kind, key, artifact);
  }
}

std::optional<double> StoreIndex::mean_seconds(StageKind kind, const std::string& base, const std::string& plugin) const {
  const auto mean = means_.find({kind, base, plugin});
  if (mean == means_.end()) return std::nullopt;
  return mean->second.sum / mean->second.count;
}

void StoreIndex::add(StageKind kind, const std::string& key, StoredArtifact artifact) {
  shelf(kind)[key] = std::move(artifact);
}

void StoreIndex::discard(StageKind kind, const std::string& key) {
  shelf(kind).erase(key);
  store_.discard(kind, key);
}

void StoreIndex::drop(StageKind kind, const std::string& key) {
  if (store_.drop(kind, key)) {
    shelf(kind).at(key).dropped = true;
  } else {
    shelf(kind).erase(key);
  }
}

}  // namespace holdfast
