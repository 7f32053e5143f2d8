#include "plugin/library.h"

#include <dlfcn.h>

#include <algorithm>
#include <boost/dll/shared_library.hpp>
#include <cstdlib>
#include <map>
#include <memory>
#include <regex>

#include "plugin/exports.h"

namespace holdfast {
namespace {

#define HOLDFAST_TEXT_OF(tag) #tag
#define HOLDFAST_TEXT(tag) HOLDFAST_TEXT_OF(tag)
constexpr const char* kAbiTag = HOLDFAST_TEXT(HOLDFAST_ABI_TAG);
constexpr const char* kAbiPrefix = "holdfast_abi_";
constexpr const char* kEntry = "holdfast_plugin";
constexpr const char* kSuffix = ".plugin.so";

// Reads the file only: no code of the library has run when this throws.
void check_abi(const fs::path& path) {
  const std::vector<std::string> symbols = exported_symbols(path);
  const auto tag = std::find_if(symbols.begin(), symbols.end(), [](const auto& name) { return name.starts_with(kAbiPrefix); });
  if (tag == symbols.end()) throw Error(path.string() + " is not a holdfast plugin: it has no ABI tag");
  if (*tag != kAbiTag) {
    throw Error(path.string() + " was built for " + *tag + ", this program is " + kAbiTag + ": rebuild the plugin");
  }
  if (std::find(symbols.begin(), symbols.end(), kEntry) == symbols.end()) {
    throw Error(path.string() + " is not a holdfast plugin: it does not define " + kEntry + "()");
  }
}

// Libraries stay open for good: exceptions, deleters and type information of a plugin may outlive any owner of it, static
// objects too.
const boost::dll::shared_library& open_for_good(const fs::path& path) {
  static auto& open = *new std::vector<std::unique_ptr<boost::dll::shared_library>>;
  auto library = std::make_unique<boost::dll::shared_library>();
  boost::dll::fs::error_code failed;
  library->load(fs::absolute(path).string(), failed, boost::dll::load_mode::rtld_now | boost::dll::load_mode::rtld_local);
  if (failed) {
    const char* reason = dlerror();
    throw Error(path.string() + " does not load: " + (reason != nullptr ? reason : failed.message()));
  }
  return *open.emplace_back(std::move(library));
}

bool is_complete(const Plugin& plugin) {
  if (plugin.summary == nullptr) return false;
  switch (plugin.kind) {
    case PluginKind::kAttack:
      return plugin.make_attack != nullptr;
    case PluginKind::kDefense:
      return plugin.make_defense != nullptr && plugin.stages != 0;
    case PluginKind::kJudge:
      return plugin.make_judge != nullptr;
  }
  return false;
}

void check_description(const Plugin* plugin, const fs::path& path) {
  static const std::regex kebab_case("[a-z][a-z0-9]*(-[a-z0-9]+)*");
  if (plugin == nullptr) throw Error(path.string() + " describes no plugin: holdfast_plugin() returned null");
  const std::string name = plugin->name != nullptr ? plugin->name : "";
  if (name.empty()) throw Error(path.string() + " describes a plugin without a name");
  if (!std::regex_match(name, kebab_case)) {
    throw Error(path.string() + " describes a plugin named \"" + name +
                "\"; a name is lower-case words joined by hyphens, such as phrase-filter");
  }
  if (!is_complete(*plugin)) {
    throw Error(path.string() + " describes plugin \"" + name +
                "\" incompletely: use HOLDFAST_ATTACK, HOLDFAST_DEFENSE or HOLDFAST_JUDGE");
  }
}

std::vector<fs::path> files_of(const fs::path& folder) {
  std::error_code failed;
  const fs::directory_iterator entries(folder, failed);
  if (failed) {
    throw Error("plugin folder " + folder.string() + " cannot be read: " + failed.message() +
                "; give an existing folder, or build the plugins first");
  }
  std::vector<fs::path> files;
  for (const auto& entry : entries) {
    if (entry.path().filename().string().ends_with(kSuffix)) files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  return files;
}

}  // namespace

const Plugin& load_library(const fs::path& path) {
  static std::map<fs::path, const Plugin*> loaded;
  const auto known = loaded.find(path);
  if (known != loaded.end()) return *known->second;
  check_abi(path);
  const Plugin* plugin = open_for_good(path).get<const Plugin*()>(kEntry)();
  check_description(plugin, path);
  loaded[path] = plugin;
  return *plugin;
}

std::string abi_tag() { return kAbiTag; }

fs::path shipped_plugins() {
  const fs::path root = program_folder().parent_path();
  const fs::path installed = root / "lib" / "holdfast" / "plugins";
  return fs::is_directory(installed) ? installed : root / "plugins";
}

std::vector<fs::path> plugin_files(const std::vector<fs::path>& folders) {
  std::vector<fs::path> files;
  for (const auto& folder : folders) {
    const auto more = files_of(folder);
    files.insert(files.end(), more.begin(), more.end());
  }
  return files;
}

std::vector<fs::path> plugin_folders(const std::vector<std::string>& given) {
  std::vector<fs::path> folders(given.begin(), given.end());
  if (const char* listed = std::getenv("HOLDFAST_PLUGIN_PATH")) {
    std::istringstream text(listed);
    for (std::string folder; std::getline(text, folder, ':');) {
      if (!folder.empty()) folders.emplace_back(folder);
    }
  }
  folders.push_back(shipped_plugins());
  return folders;
}

}  // namespace holdfast
