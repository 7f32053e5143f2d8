// The process that a PluginHost asks: the only code of a planning program that plugins run beside.
#pragma once

#include "base/json.h"

namespace holdfast {

/// Answers one question:
///   {"question": "ready"} -> {}
///   {"question": "describe", "library"} -> {"kind", "name", "revision", "summary", "stages", "digest"}
///   {"question": "make", "library": {"location", "digest"}, "values", "places", "folder", "missing"}
///     -> {"card", "preset", "declared", "mistakes", "files", "resolved", "lacks_file", "traits"}
///   {"question": "wrap", "plugin", "folder", "conversations"} -> {"conversations"}
/// What is wrong with a library or its settings is {"error"}; what a plugin may not throw, {"fault"}.
Json answer_about_plugin(const Json& question);

}  // namespace holdfast
