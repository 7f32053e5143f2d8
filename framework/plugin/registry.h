// Finds, checks and loads plugin libraries.
#pragma once

#include <holdfast/attack.h>
#include <holdfast/defense.h>

#include <string>
#include <vector>

#include "base/file.h"

namespace holdfast {

struct LoadedPlugin {
  const Plugin* plugin;
  fs::path path;
};

struct RefusedPlugin {
  fs::path path;
  std::string reason;  // one sentence that names the file
};

/// Every *.plugin.so of some folders. A library's ABI tag is read from its symbol table before any of its code runs; a library
/// that does not fit is refused with a reason, and the others load. Loaded with RTLD_NOW | RTLD_LOCAL, never unloaded.
class Registry {
 public:
  /// Folders in order of precedence. Two plugins of one kind and name: the first stays, the second is refused. A folder that
  /// does not exist is an Error.
  static Registry load(const std::vector<fs::path>& folders);

  /// Null when there is none of that name.
  const Plugin* find(PluginKind kind, const std::string& name) const;
  std::vector<std::string> names(PluginKind kind) const;  // sorted
  const std::vector<LoadedPlugin>& loaded() const { return loaded_; }
  const std::vector<RefusedPlugin>& refused() const { return refused_; }

 private:
  std::vector<LoadedPlugin> loaded_;
  std::vector<RefusedPlugin> refused_;
};

/// The folders searched: those given with --plugin-path first, then $HOLDFAST_PLUGIN_PATH (colon-separated), then the plugins/
/// folder beside the program's bin/.
std::vector<fs::path> plugin_folders(const std::vector<std::string>& given);

}  // namespace holdfast
