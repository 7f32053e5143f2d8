// Finds, checks and loads plugin libraries. Loading runs their code: only processes whose death costs little do it.
#pragma once

#include <holdfast/attack.h>
#include <holdfast/defense.h>
#include <holdfast/judge.h>

#include <string>
#include <vector>

#include "base/file.h"

namespace holdfast {

/// Loads one library, or finds it loaded. Its ABI tag is read from its symbol table before any of its code runs. Loaded with
/// RTLD_NOW | RTLD_LOCAL, never unloaded. Throws Error, one sentence that names the file, for one that does not fit.
const Plugin& load_library(const fs::path& path);

/// What a library must be built for to fit this program: "holdfast_abi_api...".
std::string abi_tag();

/// Every *.plugin.so of some folders: in the order of the folders, each folder's sorted. A folder that cannot be read is an
/// Error.
std::vector<fs::path> plugin_files(const std::vector<fs::path>& folders);

/// The folder of the plugins that came with the program: lib/holdfast/plugins of an installed package, plugins/ of a build
/// tree.
fs::path shipped_plugins();

/// The folders searched: those given with --plugin-path first, then $HOLDFAST_PLUGIN_PATH (colon-separated), then
/// shipped_plugins().
std::vector<fs::path> plugin_folders(const std::vector<std::string>& given);

}  // namespace holdfast
