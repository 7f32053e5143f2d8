// The kinds of plugins, as words.
#pragma once

#include <holdfast/plugin.h>

#include <string>

namespace holdfast {

/// "attack", "defense", "judge".
std::string to_string(PluginKind kind);
PluginKind plugin_kind(const std::string& word);

}  // namespace holdfast
