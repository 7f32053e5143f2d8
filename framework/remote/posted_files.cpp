#include "remote/posted_files.h"

#include <holdfast/error.h>

#include <set>
#include <utility>

#include "base/remembered_digest.h"
#include "learn/checkpoint.h"
#include "remote/leases.h"
#include "remote/named_sources.h"

namespace holdfast {
namespace {

struct Listed {
  bool folder = false;
  std::map<std::string, fs::path> files;  // by their names from the location's folder
};

void check_digest(const NamedSource& source, const std::string& now) {
  if (now != source.digest) throw Error(source.location + " is another one than the run was planned with: start the run again");
}

// As content_digest reads them.
Listed listed_file(const NamedSource& source) {
  check_digest(source, content_digest(source.location));
  Listed found;
  found.folder = fs::is_directory(source.location);
  if (!found.folder) {
    found.files.emplace(fs::path(source.location).filename().string(), source.location);
    return found;
  }
  for (const auto& entry : fs::directory_iterator(source.location)) {
    const std::string name = entry.path().filename().string();
    if (entry.is_regular_file() && !name.starts_with(".")) found.files.emplace(name, entry.path());
  }
  return found;
}

bool lies_in(const fs::path& relative) { return !relative.empty() && *relative.begin() != ".."; }

Listed listed_checkpoint(const NamedSource& source) {
  check_digest(source, checkpoint_digest(source.location));
  Listed found;
  found.folder = fs::is_directory(source.location);
  const fs::path folder = found.folder ? fs::path(source.location) : fs::path(source.location).parent_path();
  for (const auto& file : checkpoint_files(source.location)) {
    const fs::path relative = file.lexically_relative(folder);
    const bool own = lies_in(file.lexically_relative(share_folder()));  // what an adapter of the organism stands on
    if (!lies_in(relative) && !own) {
      throw Error(
          "the model " + source.location + " stands on " + file.string() +
          ", outside its folder, which workers elsewhere cannot be given: write it as one model with holdfast export, or put "
          "both at the same paths on each worker's machine");
    }
    if (lies_in(relative)) found.files.emplace(relative.generic_string(), file);
  }
  return found;
}

std::string name_of(const std::string& location) {
  const fs::path path = fs::path(location).lexically_normal();
  return path.has_filename() ? path.filename().string() : path.parent_path().filename().string();
}

Json described(const NamedSource& source, std::map<std::string, fs::path>& by_digest) {
  Json made = {{"location", source.location}, {"digest", source.digest}, {"name", name_of(source.location)}};
  try {
    const Listed found = source.kind == NamedSource::Kind::kFile ? listed_file(source) : listed_checkpoint(source);
    Json files = Json::array();
    for (const auto& [name, path] : found.files) {
      const std::string digest = remembered_sha256(path);
      files.push_back({{"name", name}, {"bytes", fs::file_size(path)}, {"sha256", digest}});
      by_digest.emplace(digest, path);
    }
    made["folder"] = found.folder;
    made["files"] = std::move(files);
  } catch (const std::exception& error) {
    made["fault"] = error.what();
  }
  return made;
}

}  // namespace

Json PostedFiles::list(const Lease& lease, Json work) {
  std::set<NamedSource> named;
  for (auto& stage : work.at("stages")) {
    each_source(stage, [&](const NamedSource& source) {
      named.insert(source);
      return source.location;
    });
  }
  std::map<std::string, fs::path> by_digest;
  Json sources = Json::array();
  for (const auto& source : named) sources.push_back(described(source, by_digest));
  const std::lock_guard lock(mutex_);
  forget_lost();
  listed_.insert_or_assign(lease.name, std::pair(lease, std::move(by_digest)));
  return {{"sources", std::move(sources)}};
}

std::optional<fs::path> PostedFiles::find(const std::string& sha256, const Lease& lease) {
  const std::lock_guard lock(mutex_);
  const auto listed = listed_.find(lease.name);
  if (listed == listed_.end() || !is_held(lease)) return std::nullopt;
  const auto file = listed->second.second.find(sha256);
  return file == listed->second.second.end() ? std::nullopt : std::optional(file->second);
}

void PostedFiles::forget_lost() {
  std::erase_if(listed_, [](const auto& each) { return !is_held(each.second.first); });
}

}  // namespace holdfast
