#include "submission/package.h"

#include <holdfast/error.h>

#include <algorithm>
#include <set>

#include "base/digest.h"
#include "plugin/library.h"
#include "results/run_facts.h"
#include "results/sample.h"

namespace holdfast {
namespace {

constexpr int kFormat = 1;
constexpr char kManifest[] = "manifest.json";

std::string digest_of(Json manifest) {
  manifest.erase("digest");
  return sha256(canonical(manifest));
}

// Every file below a folder but the manifest, by its path there.
std::set<std::string> files_below(const fs::path& folder) {
  std::set<std::string> found;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    if (entry.is_regular_file()) found.insert(entry.path().lexically_relative(folder).generic_string());
  }
  found.erase(kManifest);
  return found;
}

class Packer {
 public:
  explicit Packer(const PackOptions& options)
      : options_(options), entry_(read_entry(options.results)), shipped_(plugin_folders({}).back()) {}

  Packed pack() {
    Packed packed;
    packed.broken = broken_rules(entry_, options_.board);
    check_libraries(packed.broken);
    const auto all = tries(store(), entry_.scenario());
    packed.tries = counted(all);
    if (options_.division == Division::kClosed && !packed.broken.empty()) return packed;
    make_folder();
    write("tries.jsonl", lines(all));
    copy_results();
    copy_libraries();
    write_manifest(packed);
    packed.written = true;
    return packed;
  }

 private:
  Store store() const {
    if (!fs::is_directory(options_.store)) {
      throw Error("there is no store " + options_.store.string() +
                  ", from which the log of tries is made: give the run's own with --store");
    }
    return Store(options_.store);
  }

  bool is_shipped(const fs::path& library) const { return library.parent_path() == shipped_; }

  void check_libraries(std::vector<Broken>& broken) const {
    for (const auto& [name, library] : entry_.run.at("libraries").items()) {
      const fs::path path = library.at("location").get<std::string>();
      if (fs::exists(path) && sha256_file(path) == library.at("digest")) continue;
      broken.push_back(
          {kPlugins, "the plugin " + name + " is no longer what ran: " + path.string() + " has changed or is gone"});
    }
  }

  void make_folder() const {
    std::error_code failure;
    if (fs::exists(options_.out) && !fs::is_empty(options_.out, failure)) {
      throw Error(options_.out.string() +
                  " is there already, expected a new folder: nothing that was submitted is overwritten");
    }
    for (const char* name : {"results/samples", "plugins"}) {
      fs::create_directories(options_.out / name, failure);
      if (failure) throw Error("cannot make the folder " + (options_.out / name).string() + ": " + failure.message());
    }
  }

  void write(const std::string& name, const std::string& text) {
    write_file(options_.out / name, text);
    files_[name] = sha256(text);
  }

  static std::string lines(const std::vector<Try>& all) {
    std::string text;
    for (const auto& tried : all) text += canonical(to_json(tried)) + "\n";
    return text;
  }

  void copy_results() {
    for (const std::string name : {kScenarioFile, "run.json", "cells.jsonl", "stages.jsonl"}) {
      if (fs::exists(entry_.folder / name)) write("results/" + name, read_file(entry_.folder / name));
    }
    std::set<std::string> keys;
    for (const auto& row : entry_.rows) {
      if (const auto key = row.stages.find("generate"); row.ok() && key != row.stages.end()) keys.insert(key->second);
    }
    for (const auto& key : keys) {
      std::string text;
      read_samples(samples_file(entry_.folder, key), [&](Sample sample) {
        if (sample.reply) sample.reply->text.reset();
        text += canonical(to_json(sample)) + "\n";
      });
      if (!text.empty()) write("results/samples/" + key + ".jsonl", text);
    }
  }

  void copy_libraries() {
    for (const auto& [name, library] : entry_.run.at("libraries").items()) {
      const fs::path path = library.at("location").get<std::string>();
      libraries_[name] = {{"digest", library.at("digest")}, {"shipped", is_shipped(path)}};
      if (!is_shipped(path)) write("plugins/" + path.filename().string(), read_file(path));
    }
  }

  void write_manifest(Packed& packed) {
    Json manifest = {{"format", kFormat},
                     {"division", options_.division == Division::kClosed ? "closed" : "open"},
                     {"scenario", entry_.scenario().at("name")},
                     {"seeds", entry_.scenario().at("seeds")},
                     {"cells", entry_.rows.size()},
                     {"files", files_},
                     {"libraries", libraries_},
                     {"tries", packed.tries},
                     {"broken", Json::array()},
                     {"status", "unverified"}};
    for (const auto& broken : packed.broken)
      manifest["broken"].push_back({{"rule", broken.rule}, {"sentence", broken.sentence}});
    packed.digest = digest_of(manifest);
    manifest["digest"] = packed.digest;
    write_file(options_.out / kManifest, manifest.dump(1) + "\n");
  }

  const PackOptions& options_;
  Entry entry_;
  fs::path shipped_;
  std::map<std::string, std::string> files_;
  Json libraries_ = Json::object();
};

}  // namespace

Packed pack(const PackOptions& options) { return Packer(options).pack(); }

Package read_package(const fs::path& folder) {
  const fs::path file = folder / kManifest;
  if (!fs::exists(file)) {
    throw Error(folder.string() + " holds no manifest.json: give a folder that holdfast submit made");
  }
  Package package{folder, parse_json(read_file(file), file.string())};
  const Json& manifest = package.manifest;
  const bool known = manifest.is_object() && manifest.value("format", 0) == kFormat && manifest.contains("digest") &&
                     manifest.contains("files") && manifest.contains("libraries") && manifest.contains("division");
  if (!known) throw Error(file.string() + " is no manifest of a submission in a form that this version knows");
  package.division = manifest.at("division") == "closed" ? Division::kClosed : Division::kOpen;
  return package;
}

std::vector<std::string> damaged(const Package& package) {
  std::vector<std::string> found;
  const std::string digest = digest_of(package.manifest);
  if (digest != package.digest()) {
    found.push_back("manifest.json was edited: its digest says " + package.digest() + ", and its content gives " + digest);
  }
  std::set<std::string> there = files_below(package.folder);
  for (const auto& [name, wanted] : package.manifest.at("files").items()) {
    if (there.erase(name) == 0) {
      found.push_back(name + " is missing");
    } else if (const std::string now = sha256_file(package.folder / name); now != wanted) {
      found.push_back(name + " was edited: the manifest says " + wanted.get<std::string>() + ", and it has " + now);
    }
  }
  for (const auto& name : there) found.push_back(name + " is there and the manifest does not name it");
  return found;
}

}  // namespace holdfast
