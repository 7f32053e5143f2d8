// --plugin-path, which every verb takes, before or after its name.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "plugin/plugin_host.h"

namespace holdfast::cli {

/// Adds the option to the program and lets every verb pass it up. Call once, after the verbs were added.
void add_plugin_path(CLI::App& app);

/// What was given, once the command line is parsed: for use inside a verb's callback.
std::vector<std::string> given_plugin_path(const CLI::App& app);

/// The plugins of the folders given and of the usual ones.
PluginHost load_plugins(const CLI::App& app);

}  // namespace holdfast::cli
